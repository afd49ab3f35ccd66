/** What becomes of the operations of a browser: kept, taken, refused, dropped, given up. */

import { OVERTAKEN } from "../model/errors.js";
import type { History } from "../model/history.js";
import { Losses } from "../model/losses.js";
import { isEmpty } from "../model/mergepatch.js";
import type { Operation, Replica } from "../model/replica.js";
import type { Dropped, FlowError, FlowEvent, JsonObject, Kept, KeptOperation, Refusal } from "../types.js";
import type { Acceptance } from "./outgoing.js";
import type { Shelf } from "./shelf.js";

/** Who is told of it, and who sends them. */
export interface FatesOwner {
  /** What is known is another. */
  changed(): void;
  tell(event: FlowEvent): void;
  /** Send operations no more. */
  settle(...ops: readonly Operation[]): void;
  /** Send what may be sent now. */
  pump(): void;
}

/** Keeps operations until it is known what became of them, and tells what wasn't as it was meant. */
export class Fates {
  refusals: readonly Refusal[] = [];
  readonly losses = new Losses();
  readonly #flowId: string;
  readonly #replica: Replica;
  readonly #history: History;
  readonly #shelf: Shelf;
  readonly #owner: FatesOwner;
  /** What an empty flow is to begin with, until it has: nobody has made it, and so it isn't kept. */
  #initial: readonly Operation[] = [];

  constructor(
    flowId: string,
    replica: Replica,
    history: History,
    shelf: Shelf,
    owner: FatesOwner,
  ) {
    this.#flowId = flowId;
    this.#replica = replica;
    this.#history = history;
    this.#shelf = shelf;
    this.#owner = owner;
  }

  /** Let an operation be one with which an empty flow is to begin. */
  setInitial(op: Operation): void {
    op.ifVersion = 0;
    this.#initial = [op];
  }

  keep(op: Operation): void {
    if (this.#initial.includes(op)) {
      return;
    }
    const { clientId, opId, at, patch, bases, undoes, waits, inverse } = op;
    const undone = undoes?.filter((one): one is Operation => this.#replica.has(one)) ?? [];
    const isAllOnItsWay = waits && undone.length === undoes?.length;
    const replaces = { version: this.#replica.version, values: inverse };
    this.#shelf.put(this.#flowId, {
      clientId,
      opId,
      at,
      patch,
      ...(isEmpty(bases) ? {} : { bases }),
      ...(isAllOnItsWay ? { undoes: undone.map((one) => one.opId) } : {}),
      ...(undoes === null ? {} : { replaces }),
    });
  }

  /** Keep several in place of one. */
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

  /** Keep an operation no more. */
  remove({ clientId, opId }: Operation): void {
    this.#shelf.remove(this.#flowId, clientId, opId);
  }

  accepted(op: Operation, { version, effective, dropped }: Acceptance): void {
    this.#replica.acknowledge(op, version, effective);
    this.settled(op);
    this.ripen();
    this.drop(op, dropped);
    this.#owner.changed();
  }

  /** Be done with an operation that the log holds. */
  settled(op: Operation): void {
    this.remove(op);
    if (this.#initial.includes(op)) {
      // The flow has begun so, and the rest belongs to it.
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
    this.ripen();
    this.refuse(error, op.patch, op.opId);
  }

  /** Somebody else has begun the flow, and nobody has made this. */
  #giveInitialUp(): void {
    const initial = this.#initial;
    this.#initial = [];
    for (const op of initial) {
      this.forget(op);
    }
    this.#owner.settle(...initial);
    this.#owner.changed();
  }

  /** Tell of what can't be. */
  refuse(error: FlowError, patch: JsonObject, opId = 0): void {
    const refusal: Refusal = { ...error, opId, patch };
    this.refusals = [...this.refusals, refusal];
    this.#owner.changed();
    this.#owner.tell({ type: "refused", refusal });
  }

  /** Tell what of an operation was dropped, if anything was. */
  drop(op: Operation, paths: readonly string[]): void {
    const dropped = this.losses.note(op, paths, this.#replica.shown);
    if (dropped !== null) {
      this.#owner.changed();
      this.#owner.tell({ type: "dropped", dropped });
    }
  }

  /** Let go of an operation that will never be. */
  forget(op: Operation): void {
    this.#replica.refuse(op);
    this.#history.drop(op);
    this.remove(op);
  }

  /**
   * Let go of what was another page's, once that has settled it: its answer may have come there alone.
   *
   * @param known what was unconfirmed before it was looked what is kept: what was made since isn't in `kept`.
   */
  forgetSettled(kept: Kept, known: readonly Operation[], isOthers: (clientId: string) => boolean): void {
    if (kept.isPartial === true || !this.#shelf.isKeeping) {
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

  /** Send what has waited for what it takes back, as far as it still takes something back. */
  ripen(): void {
    const ripe = this.#replica.ripen();
    for (const op of ripe) {
      // What a server may have is sent again, to be told what became of it.
      if (isEmpty(op.patch) && !op.isSent) {
        this.forget(op);
        this.#owner.settle(op);
      } else {
        this.keep(op);
      }
    }
    if (ripe.length > 0) {
      this.#owner.pump();
    }
  }

  dismiss(told?: Refusal | Dropped): void {
    if (told === undefined || "paths" in told) {
      this.losses.dismiss(told);
    }
    // Numbers alone don't tell them: this page may send what others have left, too.
    this.refusals = this.refusals.filter((one) => told !== undefined && one !== told);
    this.#owner.changed();
  }
}

function nameOf({ clientId, opId }: Pick<KeptOperation, "clientId" | "opId">): string {
  return `${clientId} ${opId}`;
}
