/** The name under which a page acts. */

import type { Changes } from "./changes.js";
import type { Shelf } from "./shelf.js";

/** Milliseconds to wait for the name that this page has let go of a moment ago. */
const PATIENCE = 500;

/** Holds a page's name from `hold` to `letGo`, so that no other page acts under it. */
export class PageName {
  readonly #flowId: string;
  readonly #shelf: Shelf;
  readonly #changes: Changes;
  readonly #rename: () => void;
  #release: (() => void) | null = null;
  /** Counts what was begun: what comes of an earlier hold is let go of. */
  #turn = 0;

  /** @param rename lets what is made from now on have another name. */
  constructor(flowId: string, shelf: Shelf, changes: Changes, rename: () => void) {
    this.#flowId = flowId;
    this.#shelf = shelf;
    this.#changes = changes;
    this.#rename = rename;
  }

  /** Hold it, or another one where another page has taken it over meanwhile. */
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

  /** Whether no other page acts under it. */
  get isHeld(): boolean {
    return this.#release !== null;
  }

  letGo(): void {
    this.#turn += 1;
    this.#release?.();
    this.#release = null;
  }

  #ask(wait: number): Promise<(() => void) | null> {
    return this.#shelf.holdOwn(this.#flowId, this.#changes.clientId, wait);
  }

  #take(turn: number, release: (() => void) | null): void {
    if (turn === this.#turn) {
      this.#release = release;
    } else {
      release?.();
    }
  }
}
