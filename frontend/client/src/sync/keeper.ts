/** Storage in the browser: documents in IndexedDB, unsent operations in localStorage. */

import { number } from "../model/checks.js";
import { readDocument, readOperation } from "../model/kept.js";
import { isObject, own } from "../model/mergepatch.js";
import type { JsonObject, Kept, KeptDocument, KeptOperation, UnsentKeeper } from "../types.js";
import { Database } from "./database.js";
import { holdByLease, holdByLock } from "./holding.js";

/** Operations with more characters go to IndexedDB: localStorage is small. */
const SMALL = 64 * 1024;

/** The most flows whose documents are stored; the least recently opened are deleted. */
export const MAX_DOCUMENTS = 50;

const DOCUMENTS = "documents";
const OPERATIONS = "operations";

type Key = [flowId: string, clientId: string, opId: number];

/**
 * A page's last changes must be stored synchronously, which only localStorage can do. What doesn't fit there
 * goes to IndexedDB. If neither works, nothing is stored.
 */
export class BrowserKeeper implements UnsentKeeper {
  readonly #name: string;
  readonly #database: Database;
  /** The operations that are in IndexedDB, by their keys as text. */
  readonly #large = new Set<string>();
  /** Those that IndexedDB still has to delete, by their keys as text. */
  readonly #removed = new Map<string, Key>();

  /** @param name of all that is stored; flows of several servers need several. */
  constructor(name = "helix-flows") {
    this.#name = name;
    this.#database = new Database(name, [DOCUMENTS, OPERATIONS]);
  }

  async load(flowId: string): Promise<Kept> {
    for (const [name, key] of this.#removed) {
      this.#delete(name, key);
    }
    const [document, large] = await Promise.all([
      this.#database.ask<unknown>(DOCUMENTS, (store) => store.get(flowId)),
      this.#database.ask<unknown[]>(OPERATIONS, (store) => store.getAll(allOf(flowId))),
    ]);
    const operations = new Map<string, KeptOperation>();
    for (const operation of (large ?? []).map(readOperation).filter((one) => one !== null)) {
      const name = this.#nameOf(flowId, operation);
      if (!this.#removed.has(name)) {
        this.#large.add(name);
        operations.set(name, operation);
      }
    }
    for (const [name, operation] of this.#smallOnes(flowId)) {
      operations.set(name, operation);
    }
    return {
      document: readDocument(document),
      operations: [...operations.values()].sort((a, b) => a.opId - b.opId),
      isPartial: large === undefined,
    };
  }

  put(flowId: string, operation: KeptOperation): boolean | Promise<boolean> {
    const name = this.#nameOf(flowId, operation);
    const text = JSON.stringify(operation);
    if (text.length <= SMALL && setItem(name, text)) {
      return true;
    }
    this.#large.add(name);
    this.#removed.delete(name);
    const { clientId, opId } = operation;
    const before = getItem(name);
    return this.#database
      .ask(OPERATIONS, (store) => store.put(operation, [flowId, clientId, opId]))
      .then((key) => {
        // The earlier state is better than nothing, until this one is stored.
        if (key !== undefined && getItem(name) === before) {
          removeItem(name);
        }
        return key !== undefined;
      });
  }

  remove(flowId: string, clientId: string, opId: number): void {
    const name = this.#nameOf(flowId, { clientId, opId });
    removeItem(name);
    if (this.#large.delete(name)) {
      const key: Key = [flowId, clientId, opId];
      this.#removed.set(name, key);
      this.#delete(name, key);
    }
  }

  #delete(name: string, key: Key): void {
    void this.#database
      .ask<number>(OPERATIONS, (store) => {
        store.delete(key);
        return store.count(key);
      })
      .then((left) => {
        if (left === 0 && this.#removed.get(name) === key) {
          this.#removed.delete(name);
        }
      });
  }

  putDocument(flowId: string, document: KeptDocument): void {
    void this.#database
      .ask(DOCUMENTS, (store) => store.put(document, flowId))
      .then(() => this.#forgetOld(flowId));
  }

  hold(flowId: string, clientId: string, wait = 0): Promise<(() => void) | null> {
    const name = `${this.#name}:${JSON.stringify([flowId, clientId])}`;
    // Browsers have locks only on pages from HTTPS or from this machine.
    return "locks" in navigator ? holdByLock(name, wait) : holdByLease(name, wait);
  }

  /** Delete documents that nobody has opened for long, except of flows with unsent changes. */
  async #forgetOld(opened: string): Promise<void> {
    const kept = await this.#database.ask<IDBValidKey[]>(DOCUMENTS, (store) => store.getAllKeys());
    const flowIds = (kept ?? []).filter((key) => typeof key === "string");
    const before = read(`${this.#name}:opened`);
    const times = new Map(flowIds.map((id) => [id, number(own(before ?? {}, id)) ?? 0]));
    times.set(opened, Date.now());
    const unsent = await this.#unsentFlows();
    if (unsent === null) {
      // It is unknown, so everything stays for now.
      return;
    }
    const old = [...times].sort(([, a], [, b]) => b - a).slice(MAX_DOCUMENTS);
    for (const [flowId] of old.filter(([id]) => !unsent.has(id))) {
      times.delete(flowId);
      void this.#database.ask(DOCUMENTS, (store) => store.delete(flowId));
    }
    setItem(`${this.#name}:opened`, JSON.stringify(Object.fromEntries(times)));
  }

  async unsentFlows(): Promise<ReadonlyMap<string, number>> {
    return (await this.#unsentFlows()) ?? countByFlow(this.#namesOfSmallOnes());
  }

  /** The same; `null` if not everything can be read. */
  async #unsentFlows(): Promise<ReadonlyMap<string, number> | null> {
    const keys = await this.#database.ask<unknown[]>(OPERATIONS, (store) => store.getAllKeys());
    const large = keys?.filter(isKey).map((key): [string, string] => {
      const [flowId, clientId, opId] = key;
      return [flowId, this.#nameOf(flowId, { clientId, opId })];
    });
    return large === undefined ? null : countByFlow([...large, ...this.#namesOfSmallOnes()]);
  }

  get #prefix(): string {
    return `${this.#name}:op:`;
  }

  #nameOf(flowId: string, { clientId, opId }: Pick<KeptOperation, "clientId" | "opId">): string {
    return this.#prefix + JSON.stringify([flowId, clientId, opId] satisfies Key);
  }

  #smallOnes(flowId: string): [string, KeptOperation][] {
    const start = `${this.#prefix}${JSON.stringify([flowId]).slice(0, -1)},`;
    return this.#namesOfSmallOnes(start).flatMap(([, name]) => {
      const operation = readOperation(read(name));
      return operation !== null ? [[name, operation]] : [];
    });
  }

  /** List the operations in localStorage by flow, those whose names begin so; other entries are skipped. */
  #namesOfSmallOnes(start = this.#prefix): [flowId: string, name: string][] {
    let names: string[];
    try {
      names = Object.keys(localStorage);
    } catch {
      return [];
    }
    return names
      .filter((name) => name.startsWith(start))
      .flatMap((name) => {
        const key = parse(name.slice(this.#prefix.length));
        return isKey(key) ? [[key[0], name]] : [];
      });
  }
}

function allOf(flowId: string): IDBKeyRange {
  // An array sorts after every text.
  return IDBKeyRange.bound([flowId], [flowId, []]);
}

function isKey(value: unknown): value is Key {
  const [flowId, clientId, opId] = Array.isArray(value) ? (value as unknown[]) : [];
  return typeof flowId === "string" && typeof clientId === "string" && typeof opId === "number";
}

/** Count the different names by flow. */
function countByFlow(names: readonly [flowId: string, name: string][]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const [name, flowId] of new Map(names.map(([flow, one]) => [one, flow]))) {
    // What can't be read can't be sent.
    if (getItem(name) === null || readOperation(read(name)) !== null) {
      counts.set(flowId, (counts.get(flowId) ?? 0) + 1);
    }
  }
  return counts;
}

function read(name: string): JsonObject | null {
  const value = parse(getItem(name) ?? "");
  return isObject(value) ? value : null;
}

function getItem(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
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
    // Without storage there is nothing to remove.
  }
}
