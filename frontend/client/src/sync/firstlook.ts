/** Whether a page of this browser that showed a flow's document ever got on from there. */

/** Milliseconds that a page goes on for until what it shows is no reason why it wouldn't. */
export const CALM = 2000;

/**
 * Notes in localStorage that a document is shown for the first time, until the page has gone on for a while.
 *
 * A page that hangs by its document, or runs out of memory, can't say so any more: the note is what it leaves.
 */
export class FirstLook {
  readonly #name: string;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(flowId: string) {
    this.#name = `helix-flows:look:${flowId}`;
  }

  /** Whether an earlier page got no further. A younger note may be that of one that is still on its way. */
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

  /** The page goes on, or is left by somebody who can. */
  end(): void {
    if (this.#timer === undefined) {
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      localStorage.removeItem(this.#name);
    } catch {
      // There is none any more, so nothing is in it.
    }
  }
}
