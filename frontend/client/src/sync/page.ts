/** Events of a page that a flow must react to: hidden, frozen, awake, online. */

/** Reacts to them. */
export interface PageOwner {
  /** The page may be gone the next moment: finish everything now. */
  hide(): void;
  /** The page may have slept, or the network changed: the connection may be dead. */
  wake(): void;
}

/** Milliseconds between looks at the clock, and the delay of one from which the page counts as having slept. */
const LOOK = 5000;
const SLEPT = 10_000;

type Listener = (event: Event) => void;

/** Listens to the page, if there is one. */
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
          // The event also comes to a page that has just been loaded.
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

  /** Let the browser ask before the page is left, because changes would be lost, or stop that. */
  warn(isWarning: boolean): void {
    if (typeof window === "undefined" || isWarning === this.#isWarning) {
      return;
    }
    this.#isWarning = isWarning;
    // Only while needed: a page with this listener may not be restored as it was left.
    window[isWarning ? "addEventListener" : "removeEventListener"]("beforeunload", ask);
  }

  /** Notice sleep of the machine, which no event reports. A changed clock only causes a needless check. */
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
