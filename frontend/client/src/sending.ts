/** In which order a client's operations go out, and when again. */

import type { Operation } from "./replica";

/** Operations that may be unanswered at once. */
export const WINDOW = 64;

/**
 * The operations that the server is to be sent, or has not answered yet.
 *
 * They go out in order. When the server can't take one for now, nothing more is sent until `resume`,
 * and then everything from that one on again: the server refuses what would overtake it.
 */
export class Sending {
  readonly #operations = new Map<number, Operation>();
  readonly #inFlight = new Map<number, number>();
  #attempts = 0;
  #isHeld = false;

  get isEmpty(): boolean {
    return this.#operations.size === 0;
  }

  /** Let an operation go out behind all others. */
  add(op: Operation): void {
    this.#operations.set(op.opId, op);
  }

  /** Give the next operation to send and the number of this attempt; `null` where there is none now. */
  take(): { op: Operation; attempt: number } | null {
    if (this.#isHeld || this.#inFlight.size >= WINDOW) {
      return null;
    }
    for (const op of this.#operations.values()) {
      if (!this.#inFlight.has(op.opId)) {
        this.#attempts += 1;
        this.#inFlight.set(op.opId, this.#attempts);
        return { op, attempt: this.#attempts };
      }
    }
    return null;
  }

  /** Tell whether a refusal of this attempt counts: a newer one gets an answer of its own. */
  isNewest(opId: number, attempt: number): boolean {
    return this.#inFlight.get(opId) === attempt;
  }

  /** Be done with an operation. */
  settle(opId: number): void {
    this.#operations.delete(opId);
    this.#inFlight.delete(opId);
  }

  /** Send nothing until `resume`, then from this operation on. */
  hold(opId: number): void {
    this.#isHeld = true;
    for (const behind of [...this.#inFlight.keys()]) {
      if (behind >= opId) {
        this.#inFlight.delete(behind);
      }
    }
  }

  /** Go on after a `hold`. */
  resume(): void {
    this.#isHeld = false;
  }

  /** Send everything again: the server's channel is a new one. */
  restart(): void {
    this.#isHeld = false;
    this.#inFlight.clear();
  }
}
