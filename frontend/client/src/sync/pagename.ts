/** A page's own client id, locked against other pages. */

import type { Changes } from "./changes.js";
import type { ResilientKeeper } from "./resilientkeeper.js";

/** Milliseconds to wait for an id that this page has just released. */
const PATIENCE = 500;

/** Holds a page's client id from `hold` to `letGo`, so that no other page uses it. */
export class PageName {
  readonly #flowId: string;
  readonly #storage: ResilientKeeper;
  readonly #changes: Changes;
  readonly #rename: () => void;
  #release: (() => void) | null = null;
  /** Counts the calls: the result of an earlier hold is released. */
  #turn = 0;

  /** @param rename gives later operations a new client id. */
  constructor(flowId: string, storage: ResilientKeeper, changes: Changes, rename: () => void) {
    this.#flowId = flowId;
    this.#storage = storage;
    this.#changes = changes;
    this.#rename = rename;
  }

  /** Hold the id, or a new one if another page has taken it over meanwhile. */
  async hold(): Promise<void> {
    this.#turn += 1;
    const turn = this.#turn;
    const release = await this.#ask(PATIENCE);
    this.#take(turn, release);
    if (turn === this.#turn && release === null) {
      this.#rename();
      void this.#ask(0).then((held) => {
        this.#take(turn, held);
      });
    }
  }

  /** Whether no other page can use it. */
  get isHeld(): boolean {
    return this.#release !== null;
  }

  letGo(): void {
    this.#turn += 1;
    this.#release?.();
    this.#release = null;
  }

  #ask(wait: number): Promise<(() => void) | null> {
    return this.#storage.holdOwn(this.#flowId, this.#changes.clientId, wait);
  }

  #take(turn: number, release: (() => void) | null): void {
    if (turn === this.#turn) {
      this.#release = release;
    } else {
      release?.();
    }
  }
}
