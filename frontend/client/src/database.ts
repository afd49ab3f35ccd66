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
        this.#restsUntil = performance.now() + REST;
        this.#opened = undefined;
        resolve(undefined);
      }, PATIENCE);
      const answer = (value: T | undefined): void => {
        clearTimeout(timer);
        resolve(value);
      };
      void (this.#opened ??= this.#open()).then((database) => {
        if (database === null) {
          answer(undefined);
        } else {
          this.#ask(database, storeName, ask, (value) => {
            answer(value as T | undefined);
          });
        }
      });
    });
  }

  #ask(
    database: IDBDatabase,
    storeName: string,
    ask: (store: IDBObjectStore) => IDBRequest,
    answer: (value: unknown) => void,
  ): void {
    try {
      const transaction = database.transaction(storeName, "readwrite");
      const request = ask(transaction.objectStore(storeName));
      transaction.oncomplete = () => {
        answer(request.result);
      };
      transaction.onabort = () => {
        answer(undefined);
      };
    } catch {
      // The connection has closed; the next one is another.
      this.#opened = undefined;
      answer(undefined);
    }
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
          resolve(null);
        };
      } catch {
        resolve(null);
      }
    });
  }
}
