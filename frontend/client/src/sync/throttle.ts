/** How often what changes all the time is told. */

/** Bytes that are told in a millisecond, on average. */
const BYTES_PER_MS = 128;

/** Calls at most once in an interval, with the newest of what it was given. */
export class Throttle<T> {
  readonly #call: (value: T) => number;
  readonly #interval: number;
  #waiting: { value: T } | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param call gives how many bytes it took: where these were many, the next comes later. */
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

  /** Forget what waits. */
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
