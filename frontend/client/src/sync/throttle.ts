/** Throttling: limits how often a changing value is sent. */

/** Bytes that are sent per millisecond, on average. */
const BYTES_PER_MS = 128;

/** Calls a function at most once in an interval, with the newest value (conflation). */
export class Throttle<T> {
  readonly #call: (value: T) => number;
  readonly #interval: number;
  #waiting: { value: T } | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param call returns how many bytes it sent: after many, the next call comes later. */
  constructor(call: (value: T) => number, interval: number) {
    this.#call = call;
    this.#interval = interval;
  }

  give(value: T): void {
    this.#waiting = { value };
    if (this.#timer === undefined) {
      this.#pass();
    }
  }

  /** Forget the waiting value. */
  stop(): void {
    this.#waiting = null;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #pass(): void {
    this.#timer = undefined;
    if (this.#waiting !== null) {
      const { value } = this.#waiting;
      this.#waiting = null;
      const rest = Math.max(this.#interval, this.#call(value) / BYTES_PER_MS);
      this.#timer = setTimeout(() => {
        this.#pass();
      }, rest);
    }
  }
}
