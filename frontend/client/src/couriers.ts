/** What pages that are gone have left unsent, and who takes it to the server. */

import { Membership, type MembershipOptions } from "./membership";
import { Outgoing } from "./outgoing";
import type { Operation, Replica } from "./replica";
import type { FlowError, FlowKeeper, JsonObject } from "./types";

/** What becomes of the operations. */
export interface CouriersOwner {
  /** Give the parameters of a join under a client's name. */
  parameters(clientId: string): JsonObject;
  accepted(op: Operation, version: number, effective: JsonObject | undefined): void;
  refused(op: Operation, error: FlowError): void;
}

/**
 * Adopts operations whose page is gone: exactly one page holds their client's name.
 *
 * They are shown at once. They go out under that name, since only so does the server recognise those
 * that it had already; so each client's go over a connection of their own, one client after the other.
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
  #under: { clientId: string; membership: Membership; outgoing: Outgoing } | null = null;

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

  /**
   * Take over the operations of all clients that nobody holds.
   *
   * @param clientIds whose operations were found.
   * @returns whether there were any.
   */
  async adopt(clientIds: Iterable<string>): Promise<boolean> {
    const adopted = new Set<string>();
    for (const clientId of new Set(clientIds)) {
      const release = await this.#keeper.hold(this.#flowId, clientId);
      if (release !== null) {
        this.#held.set(clientId, release);
        adopted.add(clientId);
      }
    }
    if (adopted.size === 0) {
      return false;
    }
    // Until it was held, its page may have settled some.
    const { operations } = await this.#keeper.load(this.#flowId);
    for (const { clientId, opId, patch } of operations) {
      if (adopted.has(clientId)) {
        this.#replica.submit(clientId, opId, patch);
      }
    }
    return true;
  }

  /** Deliver what there is, one client after the other. */
  deliver(): void {
    if (this.#under !== null) {
      return;
    }
    for (const [clientId, release] of this.#held) {
      if (this.#given.has(clientId)) {
        continue;
      }
      const operations = this.#replica.unconfirmed.filter((op) => op.clientId === clientId);
      if (operations.length > 0) {
        this.#send(clientId, operations);
        return;
      }
      this.#held.delete(clientId);
      release();
    }
  }

  /** Be done with an operation that turned out to be durable. */
  settle(op: Operation): void {
    if (this.#under?.clientId === op.clientId) {
      this.#under.outgoing.settle(op);
      this.#endIfDone();
    }
  }

  /** End what is under way. */
  pause(): void {
    const under = this.#under;
    this.#under = null;
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
  }

  #send(clientId: string, operations: Operation[]): void {
    const outgoing = new Outgoing(
      {
        push: (event, payload, calls) => {
          membership.push(event, payload, calls);
        },
        accepted: (op, version, effective) => {
          this.#owner.accepted(op, version, effective);
          this.#endIfDone();
        },
        refused: (op, error) => {
          this.#owner.refused(op, error);
          this.#endIfDone();
        },
      },
      this.#options.random,
    );
    const membership = new Membership(this.#options, {
      parameters: () => this.#owner.parameters(clientId),
      joined: (response) => {
        outgoing.resume(response["limits"]);
      },
      // The page's own place tells of everything.
      received: () => undefined,
      moved: ({ kind }) => {
        if (kind !== "joined") {
          outgoing.pause();
        }
        if (kind === "closed" && this.#under?.membership === membership) {
          this.#given.add(clientId);
          this.#under = null;
          this.deliver();
        }
      },
    });
    this.#under = { clientId, membership, outgoing };
    operations.forEach((op) => {
      outgoing.add(op);
    });
    membership.start();
  }

  #endIfDone(): void {
    if (this.#under?.outgoing.isEmpty === true) {
      this.pause();
      this.deliver();
    }
  }
}
