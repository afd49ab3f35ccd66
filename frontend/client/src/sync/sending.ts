/** In which order a client's operations go out, and when again. */

import type { Operation } from "../model/replica.js";

/** Operations that may be unanswered at once. */
export const WINDOW = 64;

/**
 * The operations that the server is to be sent, or has not answered yet.
 *
 * They go out in order. When the server can't take one for now, nothing more is sent until `resume`,
 * and then everything from that one on again: the server refuses what would overtake it. What takes
 * back something that is on its way waits for that, and all behind it too; so does all behind one that
 * counts at one version of the flow alone, since it may rest on that.
 */
export class Sending {
  #operations: Operation[] = [];
  readonly #inFlight = new Map<Operation, number>();
  #attempts = 0;
  #isHeld = false;

  get isEmpty(): boolean {
    return this.#operations.length === 0;
  }

  /** Let an operation go out behind all others. */
  add(op: Operation): void {
    this.#operations.push(op);
  }

  /** Let several operations go out in place of one. */
  replace(op: Operation, parts: readonly Operation[]): void {
    this.#inFlight.delete(op);
    this.#operations.splice(this.#operations.indexOf(op), 1, ...parts);
  }

  /** Give the next operation to send and the number of this attempt; `null` where there is none now. */
  take(): { op: Operation; attempt: number } | null {
    if (this.#isHeld || this.#inFlight.size >= WINDOW) {
      return null;
    }
    const op = this.#operations.find((one) => !this.#inFlight.has(one));
    if (op === undefined || op.waits || this.#mayBeInVain()) {
      return null;
    }
    this.#attempts += 1;
    this.#inFlight.set(op, this.#attempts);
    return { op, attempt: this.#attempts };
  }

  /** Tell whether what is sent now may rest on something that the flow's version rules out. */
  #mayBeInVain(): boolean {
    const first = this.#operations[0];
    return first !== undefined && first.ifVersion !== null && this.#inFlight.has(first);
  }

  /** Tell whether a refusal of this attempt counts: a newer one gets an answer of its own. */
  isNewest(op: Operation, attempt: number): boolean {
    return this.#inFlight.get(op) === attempt;
  }

  /** Be done with an operation. */
  settle(op: Operation): void {
    const index = this.#operations.indexOf(op);
    if (index !== -1) {
      this.#operations.splice(index, 1);
    }
    this.#inFlight.delete(op);
  }

  /** Send nothing until `resume`, then from this operation on. */
  hold(op: Operation): void {
    this.#isHeld = true;
    for (const behind of this.#operations.slice(this.#operations.indexOf(op))) {
      this.#inFlight.delete(behind);
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
