/** What one page keeps of its flow, and what of that can be relied on. */

import { readDocument, readOperation } from "../model/kept.js";
import type { FlowKeeper, Kept, KeptDocument, KeptOperation } from "../types.js";

/** Milliseconds until a confirmed document is kept. */
const KEEP_AFTER = 2000;

/** Milliseconds within which a keeper has to answer: a flow loads without what it has otherwise. */
const PATIENCE = 2000;

/** Milliseconds within which it has to hold a name, or say that another page does. */
const HOLD_PATIENCE = 1000;

/** A keeper that answers in time, whatever the one behind it does. */
export class Shelf implements FlowKeeper {
  readonly #keeper: FlowKeeper;
  readonly #changed: () => void;
  /** Operations that could not be kept. */
  readonly #unkept = new Set<string>();
  /** Operations of which isn't known yet whether they are kept, by what will tell. */
  readonly #pending = new Map<string, Promise<boolean>>();
  #isWorking: boolean;
  #document: { timer: ReturnType<typeof setTimeout>; keep: () => void } | null = null;
  /** The page has crashed: what it keeps of the document may be why. */
  #isDoubtful = false;

  /** @param keeper where things are kept; `null` for nowhere. */
  constructor(keeper: FlowKeeper | null, changed: () => void) {
    this.#keeper = keeper ?? new NoKeeper();
    this.#isWorking = keeper !== null;
    this.#changed = changed;
  }

  /** Whether all that was to be kept is. */
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
        // What it was before, or is no more, says nothing of what it is now.
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

  /** Let whatever this page keeps of the document, from now on, be kept as doubtful. */
  doubt(): void {
    this.#isDoubtful = true;
  }

  hold(flowId: string, clientId: string): Promise<(() => void) | null> {
    return this.#hold(flowId, clientId, 0, null);
  }

  /** Hold the name of this page. Where that isn't answered, it is nobody's: so would others fare. */
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

  /** Keep a document in a while; what `read` gives then. */
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

  /** Keep it now, if it is to be kept. */
  flush(): void {
    this.#document?.keep();
  }

  #note(name: string, isKept: boolean): void {
    const before = this.isKeeping;
    // Keepers from before said nothing.
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

/** Keeps nothing: what isn't sent ends with the page. */
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

/** Give what is promised if it comes within so many milliseconds, and something else otherwise. */
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
