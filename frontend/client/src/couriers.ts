/** What pages that are gone have left unsent, and who takes it to the server. */

import { REPLACED } from "./errors";
import { Membership, type MembershipOptions } from "./membership";
import { type Acceptance, Outgoing } from "./outgoing";
import { type NewOperation, type Operation, type Replica, replacing } from "./replica";
import type { FlowError, FlowKeeper, JsonObject, KeptOperation } from "./types";

/** Milliseconds for which one's own changes wait for those of a page that is gone. */
const PATIENCE = 10_000;

/** Milliseconds that somebody who is back under the same name is left to it. */
const REPLACED_FOR = 1000;

/** What becomes of the operations. */
export interface CouriersOwner {
  /** Give the parameters of a join under a client's name. */
  parameters(clientId: string): JsonObject;
  accepted(op: Operation, acceptance: Acceptance): void;
  refused(op: Operation, error: FlowError): void;
  /** Let these be operations in place of one that is too large. */
  split(op: Operation, given: readonly NewOperation[]): Operation[];
  /** Whether one's own changes are to wait is another. */
  moved(): void;
}

/** What is on its way under one client's name. */
interface Errand {
  clientId: string;
  membership: Membership;
  outgoing: Outgoing;
  /** Until when one's own changes wait for it; `undefined` once they don't. */
  patience: ReturnType<typeof setTimeout> | undefined;
}

/**
 * Adopts operations whose page is gone: exactly one page holds their client's name.
 *
 * They are shown at once. They go out under that name, since only so does the server recognise those
 * that it had already; so each client's go over a connection of their own, in the order in which all of
 * them were made, and before what this page has not sent yet.
 */
export class Couriers {
  readonly #flowId: string;
  readonly #keeper: FlowKeeper;
  readonly #replica: Replica;
  readonly #options: MembershipOptions;
  readonly #owner: CouriersOwner;
  readonly #held = new Map<string, () => void>();
  /** Clients whose operations can't be delivered; they are left to another visit. */
  readonly #given = new Set<string>();
  /** The largest number that an operation of a client has. */
  readonly #newest = new Map<string, number>();
  #under: Errand | null = null;

  constructor(
    flowId: string,
    keeper: FlowKeeper,
    replica: Replica,
    options: MembershipOptions,
    owner: CouriersOwner,
  ) {
    this.#flowId = flowId;
    this.#keeper = keeper;
    this.#replica = replica;
    this.#options = options;
    this.#owner = owner;
  }

  /** Whether what this page has not sent yet is to wait. */
  get isFirst(): boolean {
    return this.#under?.patience !== undefined;
  }

  /** Whether this page acts under a client's name. */
  holds(clientId: string): boolean {
    return this.#held.has(clientId);
  }

  /**
   * Take over the operations of all clients that nobody holds.
   *
   * @param clientIds whose operations were found.
   * @returns whether there were any.
   */
  async adopt(clientIds: Iterable<string>): Promise<boolean> {
    const adopted = new Set<string>();
    const free = [...new Set(clientIds)].filter((clientId) => !this.#held.has(clientId));
    const hold = async (clientId: string): Promise<void> => {
      const release = await this.#keeper.hold(this.#flowId, clientId);
      if (release !== null) {
        this.#held.set(clientId, release);
        adopted.add(clientId);
      }
    };
    await Promise.all(free.map(hold));
    if (adopted.size === 0) {
      return false;
    }
    // Until it was held, its page may have settled some.
    const { operations } = await this.#keeper.load(this.#flowId);
    for (const { clientId, opId } of [...operations, ...this.#replica.operations]) {
      this.#newest.set(clientId, Math.max(opId, this.#newest.get(clientId) ?? 0));
    }
    const left = operations.filter(({ clientId }) => adopted.has(clientId)).sort(byTime);
    this.#take(left.filter((one) => !this.#replica.operations.some((op) => isSame(op, one))));
    return true;
  }

  /** Deliver what there is, one client after the other. */
  deliver(): void {
    if (this.#under === null) {
      const run = this.#nextRun();
      if (run.length > 0) {
        this.#send(run);
      }
    }
    this.#owner.moved();
  }

  /** Be done with operations of which it is known by another way what became of them. */
  settle(...ops: readonly Operation[]): void {
    this.#under?.outgoing.settle(...ops);
    this.#endIfDone();
  }

  /** Send what may be sent now. */
  pump(): void {
    this.#under?.outgoing.pump();
  }

  /** End what is under way. */
  pause(): void {
    const under = this.#under;
    this.#under = null;
    clearTimeout(under?.patience);
    under?.outgoing.pause();
    under?.membership.stop();
  }

  /** Let go of everything. */
  stop(): void {
    this.pause();
    for (const release of this.#held.values()) {
      release();
    }
    this.#held.clear();
    this.#given.clear();
  }

  #take(left: readonly KeptOperation[]): void {
    const ops = this.#replica.submitBefore(
      left.map(({ clientId, opId, patch, bases = {}, at = 0, replaces }) => {
        const undoes = replaces && [replacing(replaces.version, { patch, inverse: replaces.values })];
        return { clientId, opId, patch, bases, at, isSent: true, undoes: undoes ?? null };
      }),
    );
    left.forEach(({ clientId, undoes }, n) => {
      const undone = ops.filter((op) => op.clientId === clientId && undoes?.includes(op.opId));
      const op = ops[n];
      if (op !== undefined && undone.length > 0) {
        op.undoes = undone;
        op.waits = true;
      }
    });
  }

  /** Let go of clients of whom nothing is left, and give what is to go out next under one name. */
  #nextRun(): Operation[] {
    const waiting = this.#replica.unconfirmed.filter(({ clientId }) => this.#held.has(clientId));
    for (const [clientId, release] of this.#held) {
      if (!waiting.some((op) => op.clientId === clientId)) {
        this.#held.delete(clientId);
        release();
      }
    }
    const left = waiting.filter(({ clientId }) => !this.#given.has(clientId));
    const other = left.findIndex(({ clientId }) => clientId !== left[0]?.clientId);
    return other === -1 ? left : left.slice(0, other);
  }

  #send(operations: Operation[]): void {
    const clientId = operations[0]?.clientId ?? "";
    const outgoing = new Outgoing(
      {
        push: (...push) => errand.membership.push(...push),
        accepted: (op, acceptance) => {
          this.#owner.accepted(op, acceptance);
          this.#endIfDone();
        },
        refused: (op, error) => {
          this.#owner.refused(op, error);
          this.#endIfDone();
        },
        split: (op, patches) => this.#split(op, patches),
      },
      this.#options.random,
    );
    const patience = setTimeout(() => {
      errand.patience = undefined;
      this.#owner.moved();
    }, PATIENCE);
    const errand: Errand = {
      clientId,
      outgoing,
      patience,
      membership: this.#member(clientId, () => errand),
    };
    this.#under = errand;
    operations.forEach((op) => {
      outgoing.add(op);
    });
    errand.membership.start();
  }

  #member(clientId: string, errand: () => Errand): Membership {
    return new Membership(this.#options, {
      parameters: () => this.#owner.parameters(clientId),
      joined: ({ limits, last_op_id: last }) => {
        if (typeof last === "number") {
          this.#newest.set(clientId, Math.max(last, this.#newest.get(clientId) ?? 0));
        }
        errand().outgoing.resume(limits);
      },
      // The page's own place tells of everything.
      received: () => undefined,
      moved: ({ kind, error }) => {
        if (kind !== "joined") {
          errand().outgoing.pause();
        }
        if (kind === "closed" && this.#under === errand()) {
          this.#close(errand(), error?.code === REPLACED.code);
        }
      },
    });
  }

  /** Give an errand up, or go on with it where somebody was back for a moment who is gone, too. */
  #close(errand: Errand, isReplaced: boolean): void {
    const { clientId, patience } = errand;
    if (isReplaced) {
      setTimeout(() => {
        if (this.#under === errand) {
          errand.membership = this.#member(clientId, () => errand);
          errand.membership.start();
        }
      }, REPLACED_FOR);
      return;
    }
    this.#given.add(clientId);
    clearTimeout(patience);
    this.#under = null;
    this.deliver();
  }

  #split(op: Operation, patches: readonly JsonObject[]): Operation[] {
    const { clientId, at } = op;
    const newest = this.#newest.get(clientId) ?? op.opId;
    this.#newest.set(clientId, newest + patches.length);
    return this.#owner.split(
      op,
      patches.map((patch, n) => ({ clientId, opId: newest + 1 + n, at, patch })),
    );
  }

  #endIfDone(): void {
    if (this.#under?.outgoing.isEmpty === true) {
      this.pause();
      this.deliver();
    }
  }
}

function isSame(a: Pick<KeptOperation, "clientId" | "opId">, b: KeptOperation): boolean {
  return a.clientId === b.clientId && a.opId === b.opId;
}

/** Order by when they were made, those of one client by their numbers. */
export function byTime(a: KeptOperation, b: KeptOperation): number {
  const [one, other] = [a.at ?? 0, b.at ?? 0];
  if (one !== other) {
    return one - other;
  }
  return a.clientId === b.clientId ? a.opId - b.opId : a.clientId < b.clientId ? -1 : 1;
}
