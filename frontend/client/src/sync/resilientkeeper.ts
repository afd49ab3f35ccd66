/** Resilient storage: answers in time, whatever the browser's storage does. */

import { readDocument, readOperation } from "../model/kept.js";
import type { FlowKeeper, Kept, KeptDocument, KeptOperation } from "../types.js";

/** Milliseconds until a confirmed document is stored. */
const KEEP_AFTER = 2000;

/** Milliseconds in which a keeper must answer: otherwise a flow loads without what it stores. */
const PATIENCE = 2000;

/** Milliseconds in which it must hold an id, or say that another page does. */
const HOLD_PATIENCE = 1000;

/** Wraps a keeper with timeouts, and knows what could not be stored. */
export class ResilientKeeper implements FlowKeeper {
  readonly #keeper: FlowKeeper;
  readonly #changed: () => void;
  /** Operations that could not be stored. */
  readonly #unkept = new Set<string>();
  /** Operations that are being stored, with the promised result. */
  readonly #pending = new Map<string, Promise<boolean>>();
  #isWorking: boolean;
  #document: { timer: ReturnType<typeof setTimeout>; keep: () => void } | null = null;
  /** Whether the page has crashed: the stored document may be the cause. */
  #isDoubtful = false;

  /** @param keeper the storage; `null` for none. */
  constructor(keeper: FlowKeeper | null, changed: () => void) {
    this.#keeper = keeper ?? new NoKeeper();
    this.#isWorking = keeper !== null;
    this.#changed = changed;
  }

  /** Whether everything could be stored. */
  get isKeeping(): boolean {
    return this.#isWorking && this.#unkept.size === 0;
  }

  async load(flowId: string): Promise<Kept> {
    const nothing = { document: null, operations: [], isPartial: true };
    const { document, operations, isPartial = false } = await within(
      PATIENCE,
      this.#keeper.load(flowId),
      nothing,
    );
    return {
      document: readDocument(document),
      operations: operations.map(readOperation).filter((one) => one !== null),
      isPartial,
    };
  }

  put(flowId: string, operation: KeptOperation): boolean {
    const { clientId, opId } = operation;
    const name = nameOf(clientId, opId);
    const kept = this.#keeper.put(flowId, operation);
    if (kept instanceof Promise) {
      this.#pending.set(name, kept);
      void within(PATIENCE, kept, false).then((isKept) => {
        // The result of an earlier state says nothing about the current one.
        if (this.#pending.get(name) === kept) {
          this.#pending.delete(name);
          this.#note(name, isKept);
        }
      });
    } else {
      this.#pending.delete(name);
      this.#note(name, kept);
    }
    return this.isKeeping;
  }

  remove(flowId: string, clientId: string, opId: number): void {
    const name = nameOf(clientId, opId);
    this.#unkept.delete(name);
    this.#pending.delete(name);
    this.#keeper.remove(flowId, clientId, opId);
  }

  putDocument(flowId: string, document: KeptDocument): void {
    this.#keeper.putDocument(flowId, this.#isDoubtful ? { ...document, isDoubtful: true } : document);
  }

  /** Mark the documents that this page stores from now on as doubtful. */
  doubt(): void {
    this.#isDoubtful = true;
  }

  hold(flowId: string, clientId: string): Promise<(() => void) | null> {
    return this.#hold(flowId, clientId, 0, null);
  }

  /** Hold this page's id. Without an answer it counts as held: other pages would get no answer, either. */
  holdOwn(flowId: string, clientId: string, wait = 0): Promise<(() => void) | null> {
    return this.#hold(flowId, clientId, wait, () => undefined);
  }

  async #hold(
    flowId: string,
    clientId: string,
    wait: number,
    otherwise: (() => void) | null,
  ): Promise<(() => void) | null> {
    const held = this.#keeper.hold(flowId, clientId, wait);
    const release = await within(wait + HOLD_PATIENCE, held, undefined);
    if (release === undefined) {
      void held.then((late) => late?.(), () => undefined);
      return otherwise;
    }
    return release;
  }

  /** Store a document after a while: what `read` gives then. */
  keepDocument(flowId: string, read: () => KeptDocument | null): void {
    if (this.#document !== null) {
      return;
    }
    const keep = (): void => {
      clearTimeout(timer);
      this.#document = null;
      const document = read();
      if (document !== null) {
        this.putDocument(flowId, document);
      }
    };
    const timer = setTimeout(keep, KEEP_AFTER);
    this.#document = { timer, keep };
  }

  /** Store it now, if it is waiting. */
  flush(): void {
    this.#document?.keep();
  }

  #note(name: string, isKept: boolean): void {
    const before = this.isKeeping;
    // Older keepers returned nothing.
    if ((isKept as boolean | undefined) === false) {
      this.#isWorking = false;
      this.#unkept.add(name);
    } else {
      this.#isWorking = true;
      this.#unkept.delete(name);
    }
    if (this.isKeeping !== before) {
      this.#changed();
    }
  }
}

/** Stores nothing: unsent changes are lost with the page. */
class NoKeeper implements FlowKeeper {
  load(): Promise<Kept> {
    return Promise.resolve({ document: null, operations: [] });
  }

  put(): boolean {
    return false;
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

function nameOf(clientId: string, opId: number): string {
  return `${clientId} ${opId}`;
}

/** Give what is promised if it comes within `ms` milliseconds, otherwise `otherwise`. */
function within<T, E>(ms: number, promised: Promise<T>, otherwise: E): Promise<T | E> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      resolve(otherwise);
    }, ms);
    promised.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      () => {
        clearTimeout(timer);
        resolve(otherwise);
      },
    );
  });
}
