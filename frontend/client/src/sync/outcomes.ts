/** Outcomes of a browser's operations: stored, accepted, refused, dropped, given up. */

import { OVERTAKEN } from "../model/errors.js";
import type { History } from "../model/history.js";
import { Losses } from "../model/losses.js";
import { isEmpty } from "../model/mergepatch.js";
import type { Operation, Replica } from "../model/replica.js";
import type { Dropped, FlowError, FlowEvent, JsonObject, Kept, KeptOperation, Refusal } from "../types.js";
import type { Acceptance } from "./outbox.js";
import type { ResilientKeeper } from "./resilientkeeper.js";

/** Hears of outcomes, and sends operations. */
export interface OutcomesOwner {
  /** The state has changed. */
  changed(): void;
  tell(event: FlowEvent): void;
  /** Stop sending operations. */
  settle(...ops: readonly Operation[]): void;
  /** Send what may be sent now. */
  pump(): void;
}

/** Stores operations until their outcome is known, and reports refusals and dropped changes. */
export class Outcomes {
  refusals: readonly Refusal[] = [];
  readonly losses = new Losses();
  readonly #flowId: string;
  readonly #replica: Replica;
  readonly #history: History;
  readonly #storage: ResilientKeeper;
  readonly #owner: OutcomesOwner;
  /** The first content of an empty flow until the log has it. Nobody made it, so it isn't stored. */
  #initial: readonly Operation[] = [];

  constructor(
    flowId: string,
    replica: Replica,
    history: History,
    storage: ResilientKeeper,
    owner: OutcomesOwner,
  ) {
    this.#flowId = flowId;
    this.#replica = replica;
    this.#history = history;
    this.#storage = storage;
    this.#owner = owner;
  }

  /** Mark an operation as the first content of an empty flow. */
  setInitial(op: Operation): void {
    op.ifVersion = 0;
    this.#initial = [op];
  }

  keep(op: Operation): void {
    if (this.#initial.includes(op)) {
      return;
    }
    const { clientId, opId, at, patch, bases, tags, undoes, waits, inverse } = op;
    const undone = undoes?.filter((one): one is Operation => this.#replica.has(one)) ?? [];
    const isAllOnItsWay = waits && undone.length === undoes?.length;
    const replaces = { version: this.#replica.version, values: inverse };
    this.#storage.put(this.#flowId, {
      clientId,
      opId,
      at,
      patch,
      ...(isEmpty(bases) ? {} : { bases }),
      ...(isEmpty(tags) ? {} : { tags }),
      ...(isAllOnItsWay ? { undoes: undone.map((one) => one.opId) } : {}),
      ...(undoes === null ? {} : { replaces }),
    });
  }

  /** Store several operations in place of one. */
  keepParts(op: Operation, parts: Operation[]): Operation[] {
    if (this.#initial.includes(op)) {
      this.#initial = parts;
      parts.slice(0, 1).forEach((part) => (part.ifVersion = op.ifVersion));
    }
    parts.forEach((part) => {
      this.keep(part);
    });
    this.remove(op);
    return parts;
  }

  /** Remove an operation from storage. */
  remove({ clientId, opId }: Operation): void {
    this.#storage.remove(this.#flowId, clientId, opId);
  }

  accepted(op: Operation, { version, effective, dropped }: Acceptance): void {
    this.#replica.acknowledge(op, version, effective);
    this.settled(op);
    this.release();
    this.drop(op, dropped);
    this.#owner.changed();
  }

  /** Finish an operation that the log holds. */
  settled(op: Operation): void {
    this.remove(op);
    if (this.#initial.includes(op)) {
      // The flow has begun with this content, and the other parts belong to it.
      const rest = this.#initial.filter((one) => one !== op);
      this.#initial = [];
      rest.forEach((one) => {
        this.keep(one);
      });
    }
  }

  refused(op: Operation, error: FlowError): void {
    if (this.#initial.includes(op) && error.code === OVERTAKEN) {
      this.#giveInitialUp();
      return;
    }
    this.#history.giveBack(op);
    this.forget(op);
    this.release();
    this.refuse(error, op.patch, op.opId);
  }

  /** Drop the first content: somebody else has begun the flow. */
  #giveInitialUp(): void {
    const initial = this.#initial;
    this.#initial = [];
    for (const op of initial) {
      this.forget(op);
    }
    this.#owner.settle(...initial);
    this.#owner.changed();
  }

  /** Report a refusal. */
  refuse(error: FlowError, patch: JsonObject, opId = 0): void {
    const refusal: Refusal = { ...error, opId, patch };
    this.refusals = [...this.refusals, refusal];
    this.#owner.changed();
    this.#owner.tell({ type: "refused", refusal });
  }

  /** Report an operation's dropped paths, if there are any. */
  drop(op: Operation, paths: readonly string[]): void {
    const dropped = this.losses.note(op, paths, this.#replica.shown);
    if (dropped !== null) {
      this.#owner.changed();
      this.#owner.tell({ type: "dropped", dropped });
    }
  }

  /** Drop an operation that will never be in the log. */
  forget(op: Operation): void {
    this.#replica.refuse(op);
    this.#history.drop(op);
    this.remove(op);
  }

  /**
   * Drop another page's operations once that page has settled them: only it may have got the answer.
   *
   * @param known what was unconfirmed before storage was read: later operations aren't in `kept`.
   */
  forgetSettled(kept: Kept, known: readonly Operation[], isOthers: (clientId: string) => boolean): void {
    if (kept.isPartial === true || !this.#storage.isKeeping) {
      return;
    }
    const names = new Set(kept.operations.map(nameOf));
    for (const op of known) {
      const isOpen = this.#replica.has(op) && op.durableAt === null;
      if (isOpen && isOthers(op.clientId) && !names.has(nameOf(op))) {
        this.forget(op);
        this.#owner.changed();
      }
    }
  }

  /** Send operations that waited for what they undo, if they still undo something. */
  release(): void {
    const released = this.#replica.release();
    for (const op of released) {
      // An operation that a server may have is sent again, to learn its outcome.
      if (isEmpty(op.patch) && !op.isSent) {
        this.forget(op);
        this.#owner.settle(op);
      } else {
        this.keep(op);
      }
    }
    if (released.length > 0) {
      this.#owner.pump();
    }
  }

  dismiss(told?: Refusal | Dropped): void {
    if (told === undefined || "paths" in told) {
      this.losses.dismiss(told);
    }
    // Numbers alone don't identify them: this page may send other pages' operations, too.
    this.refusals = this.refusals.filter((one) => told !== undefined && one !== told);
    this.#owner.changed();
  }
}

function nameOf({ clientId, opId }: Pick<KeptOperation, "clientId" | "opId">): string {
  return `${clientId} ${opId}`;
}
