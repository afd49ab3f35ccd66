/** One's own changes: makes operations of them, gathers typing, and undoes steps. */

import { textsIn } from "../model/bases.js";
import { type Change, textsOf } from "../model/change.js";
import { stage } from "../model/document.js";
import type { History } from "../model/history.js";
import { compose, isEmpty } from "../model/mergepatch.js";
import type { Operation, Replica } from "../model/replica.js";
import { copyPatch } from "../model/telling.js";
import { undoing } from "../model/undoing.js";
import type { FlowDocument, GatherOptions, JsonObject } from "../types.js";

/** Milliseconds for which typing is gathered ... */
export const GATHER = 500;

/** ... and the longest that an app may ask for. */
const LONGEST_GATHER = 1000;

/** After this many milliseconds without a change, the same key begins a new step of undo. */
const STEP_PAUSE = 1000;

/** Stores and sends the changes. */
export interface ChangesOwner {
  /** Store an operation, or its new state. */
  keep(op: Operation): void;
  send(op: Operation): void;
  /** Forget an operation that no server has. */
  cancel(op: Operation): void;
  /** The shown document has changed. */
  changed(): void;
}

interface Gathered {
  key: string;
  op: Operation;
  timer: ReturnType<typeof setTimeout>;
}

/** Makes operations of one person's changes. `SyncedFlow` documents the calls. */
export class Changes {
  /** The client id of new operations. */
  clientId: string;
  readonly history: History;
  readonly #replica: Replica;
  readonly #owner: ChangesOwner;
  readonly #tags: JsonObject;
  #newestOp = 0;
  #newestAt = 0;
  #gathered: Gathered | null = null;
  #gatheredAt = 0;

  constructor(clientId: string, replica: Replica, history: History, owner: ChangesOwner, tags: JsonObject) {
    this.clientId = clientId;
    this.#replica = replica;
    this.history = history;
    this.#owner = owner;
    this.#tags = tags;
  }

  /** Whether no change was made yet. */
  get isEmpty(): boolean {
    return this.#newestOp === 0;
  }

  patch(patch: JsonObject): void {
    this.seal();
    const op = this.#submit(copyPatch(patch));
    if (op !== null) {
      this.history.add(op, null);
      this.#owner.keep(op);
      this.#owner.send(op);
      this.#owner.changed();
    }
  }

  /** Make a change that can't be undone. `made` is called with its operation before it is sent. */
  begin(patch: JsonObject, made: (op: Operation) => void): void {
    const op = this.#submit(copyPatch(patch));
    if (op !== null) {
      made(op);
      this.#owner.send(op);
      this.#owner.changed();
    }
  }

  gather(key: string, patch: JsonObject, { wait = GATHER, isText = false }: GatherOptions): void {
    const copy = copyPatch(patch);
    const texts = isText ? textsIn(copy) : [];
    const now = performance.now();
    if (now - this.#gatheredAt > STEP_PAUSE) {
      this.history.end();
    }
    this.#gatheredAt = now;
    if (!this.#grow(key, copy, texts)) {
      this.seal();
      this.#open(key, copy, texts, Math.min(wait, LONGEST_GATHER));
    }
  }

  /** Send what is gathered, and end its step. */
  flush(): void {
    this.seal();
    this.history.end();
  }

  turn(way: "undo" | "redo"): boolean {
    // Gathered changes aren't sent yet, and must not be if they are undone now.
    const gathered = this.#endGathering();
    this.history.end();
    const { shown } = this.#replica;
    const made: Operation[] = gathered === undefined ? [] : [gathered];
    const isDone =
      shown !== null && this.history[way](shown, (changes) => this.#takeBack(changes, made));
    // Only now: sending may split an operation, and the step then has several.
    for (const op of made.filter((one) => this.#replica.has(one))) {
      this.#owner.send(op);
    }
    this.#owner.changed();
    return isDone;
  }

  /** Give operations of this page later times than earlier ones, even if the clock was set back. */
  follow(newestAt: number): void {
    let last = newestAt;
    for (const op of this.#replica.operations.filter((one) => one.clientId === this.clientId)) {
      if (op.at <= last) {
        op.at = last + 1;
        this.#owner.keep(op);
      }
      last = op.at;
    }
    this.#newestAt = Math.max(this.#newestAt, last);
  }

  /** Send what is gathered. */
  seal(): void {
    const op = this.#endGathering();
    if (op !== undefined) {
      this.#owner.send(op);
    }
  }

  /** Replace an operation that is too large by operations of its parts. */
  split(op: Operation, patches: readonly JsonObject[]): Operation[] {
    const given = patches.map((patch) => ({ ...this.#name(), at: op.at, patch }));
    const parts = this.#replica.split(op, given);
    this.history.replace(op, parts);
    return parts;
  }

  /**
   * Undo changes, and give the changes that do so, in order.
   *
   * A change that no server has yet is simply removed: its inverse would overwrite what others do until it
   * arrives. A change on its way is undone by its final effect.
   */
  #takeBack(changes: readonly Change[], toSend: Operation[]): Change[] {
    const made: Change[] = [];
    const rest = [...changes];
    for (let last = rest.at(-1); this.#isUnsent(last); last = rest.at(-1)) {
      rest.pop();
      this.#cancel(last).forEach((one) => made.push(one));
    }
    const { shown } = this.#replica;
    const patch = shown === null ? {} : undoing(shown, rest);
    if (!isEmpty(patch)) {
      const op = this.#take(patch, rest, textsOf(rest));
      this.#owner.keep(op);
      toSend.push(op);
      made.push(op);
    }
    return made;
  }

  #isUnsent(change: Change | undefined): change is Operation {
    return change !== undefined && this.#replica.has(change) && !(change as Operation).isSent;
  }

  /** Remove an operation as if it had never been made; give the changes that do so. */
  #cancel(op: Operation): readonly Change[] {
    const { undoes, effective, inverse, bases } = op;
    this.#replica.refuse(op);
    this.#owner.cancel(op);
    // What it should have undone is there again.
    return undoes ?? [{ durableAt: this.#replica.version, effective: inverse, inverse: effective, bases }];
  }

  #endGathering(): Operation | undefined {
    const gathered = this.#gathered;
    this.#gathered = null;
    clearTimeout(gathered?.timer);
    return gathered?.op;
  }

  /** Add to the changes gathered under a key, if one patch can contain both. */
  #grow(key: string, patch: JsonObject, texts: readonly string[]): boolean {
    const gathered = this.#gathered;
    const both = gathered?.key === key ? compose(gathered.op.patch, patch) : null;
    if (gathered === null || both === null) {
      return false;
    }
    this.#replica.replace(gathered.op, both, texts);
    this.#owner.keep(gathered.op);
    this.#owner.changed();
    return true;
  }

  #open(key: string, patch: JsonObject, texts: readonly string[], wait: number): void {
    const op = this.#submit(patch, texts);
    if (op === null) {
      return;
    }
    this.history.add(op, key);
    const timer = setTimeout(() => {
      this.seal();
    }, wait);
    this.#gathered = { key, op, timer };
    this.#owner.keep(op);
    this.#owner.changed();
  }

  /** Take a patch; `null` if it changes nothing. */
  #submit(patch: JsonObject, texts: readonly string[] = []): Operation | null {
    const { shown } = this.#replica;
    return shown !== null && isNothing(shown, patch) ? null : this.#take(patch, null, texts);
  }

  #take(patch: JsonObject, undoes: readonly Change[] | null, texts: readonly string[]): Operation {
    // A later operation has a larger number, even if the clock is set back.
    this.#newestAt = Math.max(this.#newestAt + 1, Date.now());
    return this.#replica.submit({ ...this.#name(), at: this.#newestAt, patch, undoes, tags: this.#tags }, texts);
  }

  #name(): Pick<Operation, "clientId" | "opId"> {
    this.#newestOp += 1;
    return { clientId: this.clientId, opId: this.#newestOp };
  }
}

function isNothing(document: FlowDocument, patch: JsonObject): boolean {
  try {
    return isEmpty(stage(document, patch));
  } catch {
    // The server will report what is wrong with it.
    return false;
  }
}
