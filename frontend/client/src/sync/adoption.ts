/** Adoption: finds what closed pages have left unsent of a flow, and takes it over. */

import type { Operation, Replica } from "../model/replica.js";
import type { Kept } from "../types.js";
import type { AdoptedOutboxes } from "./adoptedoutboxes.js";
import type { Changes } from "./changes.js";
import type { Outcomes } from "./outcomes.js";
import type { ResilientKeeper } from "./resilientkeeper.js";

/** Milliseconds between searches for it. */
const LOOK_AGAIN = 30_000;

/** Milliseconds until the next search while another page may send this page's operations. */
const LOOK_SOON = 1_000;

/** The page. */
export interface AdoptionOwner {
  /** The shown document has changed. */
  changed(): void;
  /** Whether operations can be sent. */
  isJoined(): boolean;
  /** Run this once nothing else uses the storage. */
  inTurn(act: () => Promise<void>): void;
}

/** Looks for left operations, first at the start and then regularly, and has them sent. */
export class Adoption {
  readonly #flowId: string;
  readonly #replica: Replica;
  readonly #changes: Changes;
  readonly #outcomes: Outcomes;
  readonly #storage: ResilientKeeper;
  readonly #adopted: AdoptedOutboxes;
  readonly #owner: AdoptionOwner;
  #look: ReturnType<typeof setInterval> | undefined;
  #soon: ReturnType<typeof setTimeout> | undefined;
  /** Counts the stops: what began before one is given up. */
  #life = 0;

  constructor(
    flowId: string,
    replica: Replica,
    changes: Changes,
    outcomes: Outcomes,
    storage: ResilientKeeper,
    adopted: AdoptedOutboxes,
    owner: AdoptionOwner,
  ) {
    this.#flowId = flowId;
    this.#replica = replica;
    this.#changes = changes;
    this.#outcomes = outcomes;
    this.#storage = storage;
    this.#adopted = adopted;
    this.#owner = owner;
  }

  /**
   * Adopt found operations that nobody holds, before this page joins.
   *
   * @param known what was unconfirmed before the search.
   */
  async adopt(kept: Kept, known: readonly Operation[]): Promise<void> {
    this.#outcomes.forgetSettled(kept, known, this.#isOthers);
    const own = this.#changes.clientId;
    const others = kept.operations.filter(({ clientId }) => clientId !== own);
    this.#changes.follow(others.reduce((newest, { at = 0 }) => Math.max(newest, at), 0));
    await this.#adopt(others.map(({ clientId }) => clientId));
  }

  /** Look again regularly. */
  watch(): void {
    clearInterval(this.#look);
    const life = this.#life;
    this.#look = setInterval(() => {
      this.#owner.inTurn(() => this.#lookAgain(life));
    }, LOOK_AGAIN);
  }

  /** Look again soon, as long as another page may be sending this page's operations. */
  lookSoon(): void {
    clearTimeout(this.#soon);
    const life = this.#life;
    this.#soon = setTimeout(() => {
      this.#owner.inTurn(async () => {
        await this.#lookAgain(life);
        if (life === this.#life && this.#adopted.hasLeft) {
          this.lookSoon();
        }
      });
    }, LOOK_SOON);
  }

  stop(): void {
    this.#life += 1;
    clearInterval(this.#look);
    clearTimeout(this.#soon);
    this.#adopted.stop();
  }

  async #lookAgain(life: number): Promise<void> {
    const known = this.#replica.unconfirmed;
    const kept = await this.#storage.load(this.#flowId);
    if (life !== this.#life) {
      return;
    }
    this.#outcomes.forgetSettled(kept, known, this.#isOthers);
    this.#adopted.settle();
    const left = [...kept.operations, ...this.#replica.unconfirmed];
    await this.#adopt(left.map(({ clientId }) => clientId));
  }

  #isOthers = (clientId: string): boolean =>
    clientId !== this.#changes.clientId && !this.#adopted.holds(clientId);

  async #adopt(clientIds: string[]): Promise<void> {
    const life = this.#life;
    const own = this.#changes.clientId;
    const isNews = await this.#adopted.adopt(clientIds.filter((id) => id !== own));
    if (life !== this.#life) {
      this.#adopted.stop();
      return;
    }
    if (isNews) {
      this.#owner.changed();
    }
    if (this.#owner.isJoined()) {
      this.#adopted.deliver();
    }
  }
}
