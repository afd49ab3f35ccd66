/** A browser's storage for pages that may die, each with a keeper of its own. */

import type { FlowKeeper, KeptDocument, KeptOperation } from "../src/types";

export class Browser {
  operations: KeptOperation[] = [];
  document: KeptDocument | null = null;
  readonly holders = new Map<string, object>();

  page(): FlowKeeper & { die(): void } {
    const page = {};
    return {
      load: () => Promise.resolve({ document: this.document, operations: [...this.operations] }),
      put: (_, operation) => {
        this.#drop(operation.clientId, operation.opId);
        this.operations.push(operation);
        return true;
      },
      remove: (_, clientId, opId) => {
        this.#drop(clientId, opId);
      },
      putDocument: (_, document) => {
        this.document = document;
      },
      hold: (_, clientId) => {
        if (this.holders.has(clientId)) {
          return Promise.resolve(null);
        }
        this.holders.set(clientId, page);
        return Promise.resolve(() => this.holders.delete(clientId));
      },
      die: () => {
        for (const [clientId, holder] of this.holders) {
          if (holder === page) {
            this.holders.delete(clientId);
          }
        }
      },
    };
  }

  #drop(clientId: string, opId: number): void {
    this.operations = this.operations.filter(
      (one) => one.clientId !== clientId || one.opId !== opId,
    );
  }
}
