/** IndexedDB, as far as it answers. */

/** Milliseconds within which it has to. */
const PATIENCE = 1000;

/** Milliseconds for which it isn't asked again when it didn't. */
const REST = 30_000;

/** A database of some stores without indexes. Nothing waits for it for long, and nothing fails by it. */
export class Database {
  readonly #name: string;
  readonly #stores: readonly string[];
  #opened: Promise<IDBDatabase | null> | undefined;
  #restsUntil = -Infinity;

  constructor(name: string, stores: readonly string[]) {
    this.#name = name;
    this.#stores = stores;
  }

  /** Ask a store; `undefined` where that fails. */
  ask<T>(storeName: string, ask: (store: IDBObjectStore) => IDBRequest): Promise<T | undefined> {
    if (performance.now() < this.#restsUntil) {
      return Promise.resolve(undefined);
    }
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        // It hangs, as browsers' do at times: what comes next isn't to wait for it, too.
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

  /** Begin a transaction, over another connection where this one has closed; `null` where none can be. */
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

  /** Try again later: what is wrong may be over then. */
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

/** Ask a store in a transaction; the answer is there once that is complete. */
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
    // What is to be kept can't be copied.
    answer(undefined);
  }
}
