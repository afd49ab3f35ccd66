/** One's own changes: made, gathered, undone, and on their way. */

import { stage } from "./document";
import { History } from "./history";
import { compose, copyPatch, isEmpty } from "./mergepatch";
import type { Operation, Replica } from "./replica";
import type { FlowDocument, GatherOptions, JsonObject } from "./types";

/** Milliseconds that typing is gathered. */
export const GATHER = 500;

/** Milliseconds without a change after which gathering under the same key begins another step. */
const STEP_PAUSE = 1000;

/** What is to be done with the changes. */
export interface ChangesOwner {
  /** Keep an operation, or what it has become. */
  keep(op: Operation): void;
  send(op: Operation): void;
  /** What is shown is another. */
  changed(): void;
}

interface Gathered {
  key: string;
  op: Operation;
  timer: ReturnType<typeof setTimeout>;
}

/** Makes operations of what one person changes; what the calls mean is said at `SyncedFlow`. */
export class Changes {
  readonly history = new History();
  readonly #clientId: string;
  readonly #replica: Replica;
  readonly #owner: ChangesOwner;
  #newestOp = 0;
  #gathered: Gathered | null = null;
  #gatheredAt = 0;

  constructor(clientId: string, replica: Replica, owner: ChangesOwner) {
    this.#clientId = clientId;
    this.#replica = replica;
    this.#owner = owner;
  }

  /** Whether there was none yet. */
  get isEmpty(): boolean {
    return this.#newestOp === 0;
  }

  patch(patch: JsonObject): void {
    this.seal();
    const op = this.#submit(copyPatch(patch));
    if (op !== null) {
      this.history.add(op, null);
      this.#owner.send(op);
      this.#owner.changed();
    }
  }

  /** Change what can't be undone. */
  begin(patch: JsonObject): void {
    const op = this.#submit(copyPatch(patch));
    if (op !== null) {
      this.#owner.send(op);
      this.#owner.changed();
    }
  }

  gather(key: string, patch: JsonObject, { wait = GATHER }: GatherOptions): void {
    const copy = copyPatch(patch);
    const now = Date.now();
    if (now - this.#gatheredAt > STEP_PAUSE) {
      this.history.end();
    }
    this.#gatheredAt = now;
    if (!this.#grow(key, copy)) {
      this.seal();
      this.#open(key, copy, wait);
    }
  }

  /** Send what is gathered, and end its step. */
  flush(): void {
    this.seal();
    this.history.end();
  }

  turn(way: "undo" | "redo"): boolean {
    this.flush();
    const { shown } = this.#replica;
    if (shown === null) {
      return false;
    }
    const isDone = this.history[way](shown, (patch) => {
      const op = this.#take(patch);
      this.#owner.send(op);
      return op;
    });
    this.#owner.changed();
    return isDone;
  }

  /** Send what is gathered. */
  seal(): void {
    const gathered = this.#gathered;
    if (gathered !== null) {
      this.#gathered = null;
      clearTimeout(gathered.timer);
      this.#owner.send(gathered.op);
    }
  }

  /** Add to what is gathered under a key, where one patch can tell both. */
  #grow(key: string, patch: JsonObject): boolean {
    const gathered = this.#gathered;
    const both = gathered?.key === key ? compose(gathered.op.patch, patch) : null;
    if (gathered === null || both === null) {
      return false;
    }
    this.#replica.replace(gathered.op, both);
    this.#owner.keep(gathered.op);
    this.#owner.changed();
    return true;
  }

  #open(key: string, patch: JsonObject, wait: number): void {
    const op = this.#submit(patch);
    if (op === null) {
      return;
    }
    this.history.add(op, key);
    const timer = setTimeout(() => {
      this.seal();
    }, wait);
    this.#gathered = { key, op, timer };
    this.#owner.changed();
  }

  /** Take a patch; `null` where it changes nothing. */
  #submit(patch: JsonObject): Operation | null {
    const { shown } = this.#replica;
    return shown !== null && isNothing(shown, patch) ? null : this.#take(patch);
  }

  #take(patch: JsonObject): Operation {
    this.#newestOp += 1;
    const op = this.#replica.submit(this.#clientId, this.#newestOp, patch);
    this.#owner.keep(op);
    return op;
  }
}

function isNothing(document: FlowDocument, patch: JsonObject): boolean {
  try {
    return isEmpty(stage(document, patch));
  } catch {
    // The server will say what is wrong with it.
    return false;
  }
}
