/** Keeps flows in the browser: documents in IndexedDB, what waits to be sent in localStorage. */

import { holdByLease, holdByLock } from "./holding";
import type { FlowKeeper, KeptDocument, KeptOperation } from "./types";

/** Operations of more characters than this go to IndexedDB: localStorage holds little. */
const SMALL = 64 * 1024;

const PREFIX = "helix-flows:op:";
const DATABASE = "helix-flows";
const DOCUMENTS = "documents";
const OPERATIONS = "operations";

type Key = [flowId: string, clientId: string, opId: number];

/**
 * What a page has to tell in its last moment must be kept at once, which only localStorage can; what
 * doesn't fit there goes to IndexedDB. Where neither works, nothing is kept.
 */
export class BrowserKeeper implements FlowKeeper {
  #database: Promise<IDBDatabase | null> | undefined;
  /** The operations that are in IndexedDB, by their keys as text. */
  readonly #large = new Set<string>();

  async load(
    flowId: string,
  ): Promise<{ document: KeptDocument | null; operations: KeptOperation[] }> {
    const [document, large] = await Promise.all([
      this.#ask<KeptDocument>(DOCUMENTS, (store) => store.get(flowId)),
      this.#ask<KeptOperation[]>(OPERATIONS, (store) => store.getAll(allOf(flowId))),
    ]);
    const operations = new Map<string, KeptOperation>();
    for (const operation of large ?? []) {
      const name = nameOf(flowId, operation);
      this.#large.add(name);
      operations.set(name, operation);
    }
    for (const [name, operation] of smallOnes(flowId)) {
      operations.set(name, operation);
    }
    return {
      document: document ?? null,
      operations: [...operations.values()].sort((a, b) => a.opId - b.opId),
    };
  }

  put(flowId: string, operation: KeptOperation): void {
    const name = nameOf(flowId, operation);
    const text = JSON.stringify(operation);
    if (text.length <= SMALL && setItem(name, text)) {
      return;
    }
    removeItem(name);
    this.#large.add(name);
    const { clientId, opId } = operation;
    void this.#ask(OPERATIONS, (store) => store.put(operation, [flowId, clientId, opId]));
  }

  remove(flowId: string, clientId: string, opId: number): void {
    const name = nameOf(flowId, { clientId, opId });
    removeItem(name);
    if (this.#large.delete(name)) {
      void this.#ask(OPERATIONS, (store) => store.delete([flowId, clientId, opId]));
    }
  }

  putDocument(flowId: string, document: KeptDocument): void {
    void this.#ask(DOCUMENTS, (store) => store.put(document, flowId));
  }

  hold(flowId: string, clientId: string): Promise<(() => void) | null> {
    const name = `helix-flows:${JSON.stringify([flowId, clientId])}`;
    // Browsers have locks only where the page came over HTTPS, or from this machine.
    return "locks" in navigator ? holdByLock(name) : holdByLease(name);
  }

  /** Ask IndexedDB; `undefined` where that fails. */
  async #ask<T>(
    storeName: string,
    ask: (store: IDBObjectStore) => IDBRequest,
  ): Promise<T | undefined> {
    const database = await (this.#database ??= open());
    if (database === null) {
      return undefined;
    }
    return new Promise((resolve) => {
      try {
        const transaction = database.transaction(storeName, "readwrite");
        const request = ask(transaction.objectStore(storeName)) as IDBRequest<T>;
        transaction.oncomplete = () => {
          resolve(request.result);
        };
        transaction.onabort = () => {
          resolve(undefined);
        };
      } catch {
        resolve(undefined);
      }
    });
  }
}

/** Keeps nothing: what isn't sent ends with the page. */
export class NoKeeper implements FlowKeeper {
  load(): Promise<{ document: null; operations: KeptOperation[] }> {
    return Promise.resolve({ document: null, operations: [] });
  }

  put(): void {
    // As the class says.
  }

  remove(): void {
    // As the class says.
  }

  putDocument(): void {
    // As the class says.
  }

  hold(): Promise<() => void> {
    return Promise.resolve(() => undefined);
  }
}

function open(): Promise<IDBDatabase | null> {
  return new Promise((resolve) => {
    try {
      const request = indexedDB.open(DATABASE, 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore(DOCUMENTS);
        request.result.createObjectStore(OPERATIONS);
      };
      request.onsuccess = () => {
        resolve(request.result);
      };
      request.onerror = () => {
        resolve(null);
      };
    } catch {
      resolve(null);
    }
  });
}

function allOf(flowId: string): IDBKeyRange {
  // An array comes behind every text.
  return IDBKeyRange.bound([flowId], [flowId, []]);
}

function nameOf(flowId: string, { clientId, opId }: Pick<KeptOperation, "clientId" | "opId">): string {
  return PREFIX + JSON.stringify([flowId, clientId, opId] satisfies Key);
}

function smallOnes(flowId: string): [string, KeptOperation][] {
  const found: [string, KeptOperation][] = [];
  try {
    for (const name of Object.keys(localStorage)) {
      if (name.startsWith(PREFIX)) {
        const [owner] = JSON.parse(name.slice(PREFIX.length)) as Key;
        const text = owner === flowId ? localStorage.getItem(name) : null;
        if (text !== null) {
          found.push([name, JSON.parse(text) as KeptOperation]);
        }
      }
    }
  } catch {
    // There is no localStorage, or it isn't ours to read.
  }
  return found;
}

function setItem(name: string, text: string): boolean {
  try {
    localStorage.setItem(name, text);
    return true;
  } catch {
    return false;
  }
}

function removeItem(name: string): void {
  try {
    localStorage.removeItem(name);
  } catch {
    // There is none, so nothing is in it.
  }
}
