/** IndexedDB with timeouts. */

/** Milliseconds in which it must answer. */
const PATIENCE = 1000;

/** Milliseconds for which it isn't asked again after a timeout. */
const REST = 30_000;

/** A database of stores without indexes. Nothing waits for it long, and nothing fails because of it. */
export class Database {
  readonly #name: string;
  readonly #stores: readonly string[];
  #opened: Promise<IDBDatabase | null> | undefined;
  #restsUntil = -Infinity;

  constructor(name: string, stores: readonly string[]) {
    this.#name = name;
    this.#stores = stores;
  }

  /** Run a request on a store; `undefined` if it fails. */
  ask<T>(storeName: string, ask: (store: IDBObjectStore) => IDBRequest): Promise<T | undefined> {
    if (performance.now() < this.#restsUntil) {
      return Promise.resolve(undefined);
    }
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        // It hangs, as it does in browsers at times. Later requests must not wait, too.
        this.#rest();
        resolve(undefined);
      }, PATIENCE);
      const answer = (value: T | undefined): void => {
        clearTimeout(timer);
        resolve(value);
      };
      void this.#begin(storeName).then((transaction) => {
        if (transaction === null) {
          answer(undefined);
        } else {
          run(transaction, storeName, ask, (value) => {
            answer(value as T | undefined);
          });
        }
      });
    });
  }

  /** Begin a transaction, on a new connection if this one has closed; `null` if that fails. */
  async #begin(storeName: string): Promise<IDBTransaction | null> {
    for (let isAgain = false; ; isAgain = true) {
      const opened = (this.#opened ??= this.#open());
      const database = await opened;
      try {
        return database?.transaction(storeName, "readwrite") ?? null;
      } catch {
        if (this.#opened === opened) {
          this.#opened = undefined;
        }
        if (isAgain) {
          return null;
        }
      }
    }
  }

  /** Try again later: the problem may be over then. */
  #rest(): void {
    this.#restsUntil = performance.now() + REST;
    this.#opened = undefined;
  }

  #open(): Promise<IDBDatabase | null> {
    return new Promise((resolve) => {
      try {
        const request = indexedDB.open(this.#name, 1);
        request.onupgradeneeded = () => {
          for (const name of this.#stores) {
            request.result.createObjectStore(name);
          }
        };
        request.onsuccess = () => {
          const database = request.result;
          database.onclose = () => {
            this.#opened = undefined;
          };
          database.onversionchange = () => {
            database.close();
            this.#opened = undefined;
          };
          resolve(database);
        };
        request.onerror = () => {
          this.#rest();
          resolve(null);
        };
      } catch {
        this.#rest();
        resolve(null);
      }
    });
  }
}

/** Run a request in a transaction, and answer once the transaction is complete. */
function run(
  transaction: IDBTransaction,
  storeName: string,
  ask: (store: IDBObjectStore) => IDBRequest,
  answer: (value: unknown) => void,
): void {
  try {
    const request = ask(transaction.objectStore(storeName));
    transaction.oncomplete = () => {
      answer(request.result);
    };
    transaction.onabort = () => {
      answer(undefined);
    };
  } catch {
    // The value can't be cloned.
    answer(undefined);
  }
}
