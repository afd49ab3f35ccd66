/** Heartbeats: checks whether a connection is alive. */

/** Milliseconds between heartbeats. */
const INTERVAL = 30_000;

/** Milliseconds until an unanswered heartbeat causes doubt; an unanswered probe ends the connection then. */
const PROBE_TIMEOUT = 5000;

/** Milliseconds of silence that a heartbeat allows: a large frame may come before the answer. */
const PATIENCE = 30_000;

export interface HeartbeatOwner {
  /** Ping the server, and call `answered` when it answers. */
  ask(answered: () => void): void;
  /** `isInDoubt` has changed. */
  doubted(): void;
  /** The server has sent nothing for so many milliseconds. */
  dead(silence: number): void;
}

/** Keeps a connection alive, and notices when it is dead. */
export class Heartbeat {
  /** Whether a heartbeat's answer is overdue, or a probe isn't answered yet. */
  isInDoubt = false;
  readonly #owner: HeartbeatOwner;
  #beat: ReturnType<typeof setInterval> | undefined;
  #doubt: ReturnType<typeof setTimeout> | undefined;
  #end: ReturnType<typeof setTimeout> | undefined;
  #patience = PATIENCE;
  #asked = 0;

  constructor(owner: HeartbeatOwner) {
    this.#owner = owner;
  }

  /** The connection is open. */
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

  /** The connection is closed. */
  stop(): void {
    clearInterval(this.#beat);
    this.#answered();
  }

  /** The connection may be dead: check at once. */
  probe(): void {
    if (this.#end !== undefined && this.#patience === PROBE_TIMEOUT) {
      return;
    }
    this.#patience = PROBE_TIMEOUT;
    this.#setDoubt(true);
    this.#ask();
  }

  /** The server has sent something, perhaps before the ping: allow it more time. */
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
      // An answer to an earlier ping may have been on its way for long.
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
