/** Whether a connection still is one: when that is asked, and how long an answer may take. */

/** Milliseconds between heartbeats. */
const INTERVAL = 30_000;

/** Milliseconds after which an unanswered question makes it doubtful; asked with a reason, the end of it. */
const PROBE_TIMEOUT = 5000;

/** Milliseconds without a word for which a heartbeat may be unanswered: a large frame may come before. */
const PATIENCE = 30_000;

export interface PulseOwner {
  /** Ask the server for a sign of life, and call when it has given that. */
  ask(answered: () => void): void;
  /** Whether it is in doubt is another. */
  doubted(): void;
  /** It has said nothing for so many milliseconds. */
  dead(silence: number): void;
}

/** Keeps a connection from falling asleep, and notices when it is none any more. */
export class Pulse {
  /** Whether a question is unanswered that should have been answered by now, or was asked with a reason. */
  isInDoubt = false;
  readonly #owner: PulseOwner;
  #beat: ReturnType<typeof setInterval> | undefined;
  #doubt: ReturnType<typeof setTimeout> | undefined;
  #end: ReturnType<typeof setTimeout> | undefined;
  #patience = PATIENCE;
  #asked = 0;

  constructor(owner: PulseOwner) {
    this.#owner = owner;
  }

  /** There is a connection, from now on. */
  start(): void {
    this.stop();
    this.#beat = setInterval(() => {
      if (this.#end === undefined) {
        this.#patience = PATIENCE;
        this.#doubt = setTimeout(() => {
          this.#setDoubt(true);
        }, PROBE_TIMEOUT);
        this.#ask();
      }
    }, INTERVAL);
  }

  /** There is none any more. */
  stop(): void {
    clearInterval(this.#beat);
    this.#answered();
  }

  /** It may be none: see at once. */
  probe(): void {
    if (this.#end !== undefined && this.#patience === PROBE_TIMEOUT) {
      return;
    }
    this.#patience = PROBE_TIMEOUT;
    this.#setDoubt(true);
    this.#ask();
  }

  /** The server has said something, perhaps before it was asked: a while more is left to it. */
  heard(): void {
    if (this.#end !== undefined) {
      this.#wait();
    }
  }

  #ask(): void {
    this.#wait();
    this.#asked += 1;
    const asked = this.#asked;
    this.#owner.ask(() => {
      // What answers an earlier question may have been on its way for long.
      if (asked === this.#asked) {
        this.#answered();
      }
    });
  }

  #wait(): void {
    clearTimeout(this.#end);
    this.#end = setTimeout(() => {
      this.#owner.dead(this.#patience);
    }, this.#patience);
  }

  #answered(): void {
    clearTimeout(this.#doubt);
    clearTimeout(this.#end);
    this.#end = undefined;
    this.#setDoubt(false);
  }

  #setDoubt(isInDoubt: boolean): void {
    if (this.isInDoubt !== isInDoubt) {
      this.isInDoubt = isInDoubt;
      this.#owner.doubted();
    }
  }
}
