/** What befalls a page that a flow has to know of. */

/** What is done about it. */
export interface PageOwner {
  /** It may be gone the next moment: nothing may be left to later. */
  hide(): void;
  /** It may have slept, or the network is another one: a connection may be none any more. */
  wake(): void;
}

/** Milliseconds between looks at the clock, and how much later one may come before the page has slept. */
const LOOK = 5000;
const SLEPT = 10_000;

type Listener = (event: Event) => void;

/** Listens to the page, where there is one. */
export class Page {
  readonly #owner: PageOwner;
  readonly #listeners: readonly [target: () => EventTarget, type: string, listener: Listener][];
  #isWarning = false;
  #clock: ReturnType<typeof setInterval> | undefined;

  constructor(owner: PageOwner) {
    this.#owner = owner;
    const hide = (): void => {
      owner.hide();
    };
    const wake = (): void => {
      owner.wake();
    };
    this.#listeners = [
      [() => window, "pagehide", hide],
      [
        () => window,
        "pageshow",
        (event) => {
          // A page that has just been loaded is told so, too.
          if ((event as PageTransitionEvent).persisted) {
            wake();
          }
        },
      ],
      [() => window, "online", wake],
      [() => window, "offline", wake],
      [() => document, "freeze", hide],
      [() => document, "resume", wake],
      [() => document, "visibilitychange", this.#changeVisibility],
    ];
  }

  attend(): void {
    if (typeof window !== "undefined") {
      for (const [target, type, listener] of this.#listeners) {
        target().addEventListener(type, listener);
      }
      this.#watchClock();
    }
  }

  leave(): void {
    if (typeof window !== "undefined") {
      this.warn(false);
      clearInterval(this.#clock);
      for (const [target, type, listener] of this.#listeners) {
        target().removeEventListener(type, listener);
      }
    }
  }

  /** Have the browser ask before the page is left, or no more: it would lose something. */
  warn(isWarning: boolean): void {
    if (typeof window === "undefined" || isWarning === this.#isWarning) {
      return;
    }
    this.#isWarning = isWarning;
    // Only while there is something to ask: a page that listens may not come back as it was left.
    window[isWarning ? "addEventListener" : "removeEventListener"]("beforeunload", ask);
  }

  /** A machine that sleeps tells no page so. Clocks that are set only have it look once too often. */
  #watchClock(): void {
    let seen = Date.now();
    clearInterval(this.#clock);
    this.#clock = setInterval(() => {
      const slept = Date.now() - seen - LOOK;
      seen += LOOK + slept;
      if (slept > SLEPT) {
        this.#owner.wake();
      }
    }, LOOK);
  }

  #changeVisibility = (): void => {
    if (document.visibilityState === "hidden") {
      this.#owner.hide();
    } else {
      this.#owner.wake();
    }
  };
}

function ask(event: Event): void {
  event.preventDefault();
}
