/** Adopted outboxes: sends the operations that closed pages have left unsent. */

import { REPLACED } from "../model/errors.js";
import { newId } from "../model/ids.js";
import { isEmpty } from "../model/mergepatch.js";
import { type NewOperation, type Operation, type Replica, replacing } from "../model/replica.js";
import type { FlowError, FlowKeeper, JsonObject, KeptOperation } from "../types.js";
import { Membership, type MembershipOptions } from "./membership.js";
import { type Acceptance, Outbox } from "./outbox.js";

/** Milliseconds for which this page's changes wait for earlier ones. */
const PATIENCE = 10_000;

/** Milliseconds for which a page that has come back under its id may go on by itself. */
const REPLACED_FOR = 1000;

/** Hears what becomes of the operations. */
export interface AdoptedOutboxesOwner {
  /** Give the parameters of a join under a client id. */
  parameters(clientId: string): JsonObject;
  accepted(op: Operation, acceptance: Acceptance): void;
  refused(op: Operation, error: FlowError): void;
  delayed(error: FlowError): void;
  forbidden(error: FlowError): void;
  /** Replace an operation that is too large by these. */
  split(op: Operation, given: readonly NewOperation[]): Operation[];
  /** Whether this page's changes must wait may have changed. */
  moved(): void;
}

/** The sending of one client's operations. */
interface Delivery {
  clientId: string;
  membership: Membership;
  outbox: Outbox;
  /** This page's changes wait for it until then; `undefined` once they don't. */
  patience: ReturnType<typeof setTimeout> | undefined;
}

/** Operations that this page made under an id that another page holds now. */
interface Left {
  operations: readonly Operation[];
  /** How long this page's changes wait for their outcome. */
  patience: ReturnType<typeof setTimeout>;
}

/**
 * Adopts and sends operations whose page is gone. Exactly one page holds their client id.
 *
 * They are shown at once. They are sent under their own client id, so that the server recognises those that
 * it had already. So each client's operations use a connection of their own. They are sent in the order in
 * which they were made, and before the unsent changes of this page.
 */
export class AdoptedOutboxes {
  readonly #flowId: string;
  readonly #keeper: FlowKeeper;
  readonly #replica: Replica;
  readonly #options: MembershipOptions;
  readonly #owner: AdoptedOutboxesOwner;
  readonly #held = new Map<string, () => void>();
  /** Clients whose operations can't be sent; a later visit tries again. */
  readonly #given = new Set<string>();
  /** The names of sent operations: failing storage may still contain settled ones. */
  readonly #sent = new Set<string>();
  #under: Delivery | null = null;
  #left: Left | null = null;
  /** Whether operations may be sent. */
  #isOn = false;
  /** Whether an id for the parts of a large operation is being acquired. */
  #isRenaming = false;
  /** Clients that seem to be done, while storage is checked for more. */
  readonly #ending = new Set<string>();

  constructor(
    flowId: string,
    keeper: FlowKeeper,
    replica: Replica,
    options: MembershipOptions,
    owner: AdoptedOutboxesOwner,
  ) {
    this.#flowId = flowId;
    this.#keeper = keeper;
    this.#replica = replica;
    this.#options = options;
    this.#owner = owner;
  }

  /** Whether this page's unsent changes must wait. */
  get isFirst(): boolean {
    return this.#under?.patience !== undefined || this.#isRenaming || this.#left !== null;
  }

  /** Whether another page may be sending this page's operations. */
  get hasLeft(): boolean {
    return this.#left !== null;
  }

  /** Leave operations of this page to the page that holds their client id. */
  leave(operations: readonly Operation[]): void {
    clearTimeout(this.#left?.patience);
    const patience = setTimeout(() => {
      this.#endLeft();
    }, PATIENCE);
    this.#left = { operations: [...(this.#left?.operations ?? []), ...operations], patience };
    this.#noteLeft();
  }

  /** Whether this page holds a client id. */
  holds(clientId: string): boolean {
    return this.#held.has(clientId);
  }

  /**
   * Adopt the operations of all clients that nobody holds.
   *
   * @param clientIds whose operations were found.
   * @returns whether any were adopted.
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
    // Before the id was held, its page may have settled some.
    await this.#read(adopted);
    return true;
  }

  /** Load the stored operations of held clients; tell whether any were new. */
  async #read(clientIds: ReadonlySet<string>): Promise<boolean> {
    const { operations } = await this.#keeper.load(this.#flowId);
    const left = operations
      .filter((one) => clientIds.has(one.clientId) && this.#held.has(one.clientId))
      .filter((one) => !this.#sent.has(nameOf(one)) && !this.#replica.operations.some((op) => isSame(op, one)));
    this.#take(left.sort(byTime));
    return left.length > 0;
  }

  /** Send everything, one client after the other. */
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

  /** Drop operations whose outcome became known in another way. */
  settle(...ops: readonly Operation[]): void {
    this.#under?.outbox.settle(...ops);
    this.#endIfDone();
  }

  /** Send what may be sent now. */
  pump(): void {
    this.#under?.outbox.pump();
  }

  /** Stop the current sending. */
  pause(): void {
    this.#isOn = false;
    const under = this.#under;
    this.#under = null;
    clearTimeout(under?.patience);
    under?.outbox.pause();
    under?.membership.stop();
  }

  /** Release everything. */
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
      left.map(({ clientId, opId, patch, bases = {}, tags = {}, at = 0, replaces }) => {
        const undoes = replaces && [replacing(replaces.version, { patch, inverse: replaces.values })];
        return { clientId, opId, patch, bases, tags, at, isSent: true, undoes: undoes ?? null };
      }),
    );
    const places = new Map(left.map((one, n) => [nameOf(one), n]));
    left.forEach(({ clientId, undoes }, n) => {
      const found = new Set(undoes?.flatMap((opId) => places.get(nameOf({ clientId, opId })) ?? []));
      const undone = [...found].sort((a, b) => a - b).flatMap((place) => ops[place] ?? []);
      const op = ops[n];
      // If some of it is in the log or in the shown document already, only the replaced values describe all of it.
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

  /** Release clients that are done, and give the next operations to send under one id. */
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

  /** Release a client, unless its page has stored more: it does so until it notices that its id is taken. */
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
    const outbox = new Outbox(
      {
        push: (...push) => delivery.membership.push(...push),
        accepted: (op, acceptance) => {
          this.#owner.accepted(op, acceptance);
          this.#endIfDone();
        },
        refused: (op, error) => {
          this.#owner.refused(op, error);
          this.#endIfDone();
        },
        delayed: (error) => {
          this.#owner.delayed(error);
        },
        forbidden: (error) => {
          this.#owner.forbidden(error);
        },
        split: (op, patches) => this.#split(op, patches),
      },
      this.#options.random,
    );
    const patience = setTimeout(() => {
      delivery.patience = undefined;
      this.#owner.moved();
    }, PATIENCE);
    const delivery: Delivery = {
      clientId,
      outbox,
      patience,
      membership: this.#member(clientId, () => delivery),
    };
    this.#under = delivery;
    operations.forEach((op) => {
      this.#sent.add(nameOf(op));
      outbox.add(op);
    });
    delivery.membership.start();
  }

  #member(clientId: string, delivery: () => Delivery): Membership {
    return new Membership(this.#options, {
      parameters: () => this.#owner.parameters(clientId),
      joined: ({ limits }) => {
        delivery().outbox.resume(limits);
      },
      // The page's own membership receives everything.
      received: () => undefined,
      moved: ({ kind, error }) => {
        if (kind !== "joined") {
          delivery().outbox.pause();
        }
        if (kind === "closed" && this.#under === delivery()) {
          this.#close(delivery(), error?.code === REPLACED.code);
        }
      },
    });
  }

  /** Give up a client, or try again if its page had come back only for a moment. */
  #close(delivery: Delivery, isReplaced: boolean): void {
    const { clientId, patience } = delivery;
    if (isReplaced) {
      setTimeout(() => {
        if (this.#under === delivery) {
          delivery.membership = this.#member(clientId, () => delivery);
          delivery.membership.start();
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

  /** Send the parts of a large operation under a new id: under the old one, the numbers belong to its page. */
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

  /** End the wait once the outcome of the operations left to another page is known. */
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
    if (this.#under?.outbox.isEmpty === true) {
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

/** Order operations by time, and those of one client by number. */
export function byTime(a: KeptOperation, b: KeptOperation): number {
  const [one, other] = [a.at ?? 0, b.at ?? 0];
  if (one !== other) {
    return one - other;
  }
  return a.clientId === b.clientId ? a.opId - b.opId : a.clientId < b.clientId ? -1 : 1;
}
