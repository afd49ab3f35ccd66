/** A browser's storage for pages that may die, each with a keeper of its own. */

import type { KeptDocument, KeptOperation, UnsentKeeper } from "../src/types";

export class Browser {
  operations: KeptOperation[] = [];
  document: KeptDocument | null = null;
  readonly holders = new Map<string, object>();

  page(): UnsentKeeper & { die(): void } {
    const page = {};
    let isDead = false;
    return {
      load: () => Promise.resolve({ document: this.document, operations: [...this.operations] }),
      unsentFlows: () =>
        Promise.resolve(new Map(this.operations.length === 0 ? [] : [["demo", this.operations.length]])),
      put: (_, operation) => {
        if (isDead) {
          return false;
        }
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
      hold: async (_, clientId, wait = 0) => {
        for (let waited = 0; this.holders.has(clientId); waited += 10) {
          if (waited >= wait) {
            return null;
          }
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        if (!isDead) {
          this.holders.set(clientId, page);
        }
        return () => {
          if (this.holders.get(clientId) === page) {
            this.holders.delete(clientId);
          }
        };
      },
      die: () => {
        isDead = true;
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
