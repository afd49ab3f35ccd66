/** What pages that are gone have left unsent, and who takes it to the server. */

import { REPLACED } from "../model/errors.js";
import { newId } from "../model/ids.js";
import { isEmpty } from "../model/mergepatch.js";
import { type NewOperation, type Operation, type Replica, replacing } from "../model/replica.js";
import type { FlowError, FlowKeeper, JsonObject, KeptOperation } from "../types.js";
import { Membership, type MembershipOptions } from "./membership.js";
import { type Acceptance, Outgoing } from "./outgoing.js";

/** Milliseconds for which one's own changes wait for those that were made before. */
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

/** What this page has made under a name that another page holds now. */
interface Left {
  operations: readonly Operation[];
  /** How long one's own changes wait until it is known what became of it. */
  patience: ReturnType<typeof setTimeout>;
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
  /** The names of what was sent: storage that fails keeps what is settled. */
  readonly #sent = new Set<string>();
  #under: Errand | null = null;
  #left: Left | null = null;
  /** Whether what there is may be delivered. */
  #isOn = false;
  /** Whether a name is being had for parts of what is too large. */
  #isRenaming = false;
  /** Clients of whom all is delivered, while it is looked whether that is so. */
  readonly #ending = new Set<string>();

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
    return this.#under?.patience !== undefined || this.#isRenaming || this.#left !== null;
  }

  /** Whether another page may be sending what is this one's. */
  get hasLeft(): boolean {
    return this.#left !== null;
  }

  /** Leave operations of this page to whoever holds the name under which they were made. */
  leave(operations: readonly Operation[]): void {
    clearTimeout(this.#left?.patience);
    const patience = setTimeout(() => {
      this.#endLeft();
    }, PATIENCE);
    this.#left = { operations: [...(this.#left?.operations ?? []), ...operations], patience };
    this.#noteLeft();
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
    await this.#read(adopted);
    return true;
  }

  /** Take what is kept of clients whose names are held; tell whether anything of it wasn't here. */
  async #read(clientIds: ReadonlySet<string>): Promise<boolean> {
    const { operations } = await this.#keeper.load(this.#flowId);
    const left = operations
      .filter((one) => clientIds.has(one.clientId) && this.#held.has(one.clientId))
      .filter((one) => !this.#sent.has(nameOf(one)) && !this.#replica.operations.some((op) => isSame(op, one)));
    this.#take(left.sort(byTime));
    return left.length > 0;
  }

  /** Deliver what there is, one client after the other. */
  deliver(): void {
    this.#isOn = true;
    if (this.#under === null && !this.#isRenaming) {
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
    this.#isOn = false;
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
    this.#sent.clear();
    this.#given.clear();
    clearTimeout(this.#left?.patience);
    this.#left = null;
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
      // Where some of it is in the log already, or in what is shown, what it replaces tells of all of it.
      const isAhead = undone.length === undoes?.length && undone.every((one) => !isEmpty(one.effective));
      const isAll = isAhead || op?.undoes === null;
      if (op !== undefined && undone.length > 0 && isAll) {
        op.undoes = undone;
        op.waits = true;
      }
    });
  }

  #waiting(): Operation[] {
    return this.#replica.unconfirmed.filter(({ clientId }) => this.#held.has(clientId));
  }

  /** Let go of clients of whom nothing is left, and give what is to go out next under one name. */
  #nextRun(): Operation[] {
    const waiting = this.#waiting();
    const busy = new Set(waiting.map(({ clientId }) => clientId));
    for (const clientId of this.#held.keys()) {
      if (!busy.has(clientId) && !this.#ending.has(clientId)) {
        this.#ending.add(clientId);
        void this.#end(clientId);
      }
    }
    const left = waiting.filter(({ clientId }) => !this.#given.has(clientId));
    const other = left.findIndex(({ clientId }) => clientId !== left[0]?.clientId);
    return other === -1 ? left : left.slice(0, other);
  }

  /** Let go of a client, unless its page has left more meanwhile, as it does before it notices that its name is taken. */
  async #end(clientId: string): Promise<void> {
    const isMore = await this.#read(new Set([clientId]));
    this.#ending.delete(clientId);
    if (!isMore && !this.#waiting().some((op) => op.clientId === clientId)) {
      this.#held.get(clientId)?.();
      this.#held.delete(clientId);
    } else if (this.#isOn) {
      this.deliver();
    }
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
      this.#sent.add(nameOf(op));
      outgoing.add(op);
    });
    errand.membership.start();
  }

  #member(clientId: string, errand: () => Errand): Membership {
    return new Membership(this.#options, {
      parameters: () => this.#owner.parameters(clientId),
      joined: ({ limits }) => {
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
    this.#isRenaming = true;
    this.pause();
    this.#isOn = true;
    void this.#rename(op, patches);
    return [op];
  }

  /** Let the parts of what is too large go out under a name of their own: the numbers under its name are its page's. */
  async #rename(op: Operation, patches: readonly JsonObject[]): Promise<void> {
    const clientId = newId(this.#options.random);
    const release = await this.#keeper.hold(this.#flowId, clientId);
    this.#isRenaming = false;
    const isThere = this.#held.has(op.clientId) && this.#replica.unconfirmed.includes(op);
    if (release !== null && isThere) {
      this.#held.set(clientId, release);
      this.#owner.split(
        op,
        patches.map((patch, n) => ({ clientId, opId: n + 1, at: op.at, patch })),
      );
    } else if (release !== null) {
      release();
    } else {
      this.#given.add(op.clientId);
    }
    if (this.#isOn) {
      this.deliver();
    }
  }

  /** Let one's own changes go out once it is known what became of those that were left to another page. */
  #noteLeft(): void {
    const operations = this.#left?.operations ?? [];
    if (!operations.some((op) => this.#replica.has(op) && op.durableAt === null)) {
      this.#endLeft();
    }
  }

  #endLeft(): void {
    clearTimeout(this.#left?.patience);
    if (this.#left !== null) {
      this.#left = null;
      this.#owner.moved();
    }
  }

  #endIfDone(): void {
    this.#noteLeft();
    if (this.#under?.outgoing.isEmpty === true) {
      this.pause();
      this.deliver();
    }
  }
}

function isSame(a: Pick<KeptOperation, "clientId" | "opId">, b: KeptOperation): boolean {
  return a.clientId === b.clientId && a.opId === b.opId;
}

function nameOf({ clientId, opId }: Pick<KeptOperation, "clientId" | "opId">): string {
  return `${clientId} ${opId}`;
}

/** Order by when they were made, those of one client by their numbers. */
export function byTime(a: KeptOperation, b: KeptOperation): number {
  const [one, other] = [a.at ?? 0, b.at ?? 0];
  if (one !== other) {
    return one - other;
  }
  return a.clientId === b.clientId ? a.opId - b.opId : a.clientId < b.clientId ? -1 : 1;
}
