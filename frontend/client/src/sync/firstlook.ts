/** Detects pages that hung while showing a flow's document for the first time. */

/** Milliseconds after which a running page counts as not hung by its document. */
export const CALM = 2000;

/**
 * Notes in localStorage that a document is shown for the first time, until the page has run for a while.
 *
 * A page that hangs because of its document, or runs out of memory, can't report it. The note remains.
 */
export class FirstLook {
  readonly #name: string;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(flowId: string) {
    this.#name = `helix-flows:look:${flowId}`;
  }

  /** Whether an earlier page hung. A recent note may belong to a page that is still starting. */
  get hasFailed(): boolean {
    try {
      const noted = localStorage.getItem(this.#name);
      return noted !== null && !(Math.abs(Date.now() - Number(noted)) < CALM);
    } catch {
      return false;
    }
  }

  /** The document is about to be shown. */
  begin(): void {
    try {
      localStorage.setItem(this.#name, String(Date.now()));
    } catch {
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.end();
    }, CALM);
  }

  /** The page runs, or its user leaves it normally. */
  end(): void {
    if (this.#timer === undefined) {
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      localStorage.removeItem(this.#name);
    } catch {
      // Without storage there is nothing to remove.
    }
  }
}
