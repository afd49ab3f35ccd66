/** Exponential backoff: how long to wait before trying again. */

/** The longest first wait, in milliseconds; each that follows may be twice as long ... */
export const BASE = 100;

/** ... up to this. */
export const CAP = 30_000;

/**
 * Exponential, with full jitter: each wait is drawn evenly from zero to a bound that doubles.
 *
 * So the clients of a server that comes back don't return all at once.
 */
export class Backoff {
  readonly #random: () => number;
  #bound = BASE;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Draw the next wait, in milliseconds. */
  next(): number {
    const bound = this.#bound;
    this.#bound = Math.min(CAP, 2 * bound);
    return this.#random() * bound;
  }

  /** Begin again with short waits. */
  reset(): void {
    this.#bound = BASE;
  }
}
