/** The send queue of a client: in which order operations are sent, and when again. */

import type { Operation } from "../model/replica.js";

/** The most operations that may be unanswered at once. */
export const WINDOW = 64;

/**
 * The operations that aren't sent or aren't answered yet.
 *
 * They are sent in order. If the server can't take one for now, nothing more is sent until `resume`, and then
 * everything from that one on again: the server refuses what would overtake it. An operation that undoes
 * one on its way waits for that, with all after it. All after an operation with `ifVersion` wait for its
 * answer, since they may depend on it.
 */
export class SendQueue {
  #operations: Operation[] = [];
  readonly #inFlight = new Map<Operation, number>();
  #attempts = 0;
  #isHeld = false;

  get isEmpty(): boolean {
    return this.#operations.length === 0;
  }

  /** Queue an operation after all others. */
  add(op: Operation): void {
    this.#operations.push(op);
  }

  /** Replace an operation by several. */
  replace(op: Operation, parts: readonly Operation[]): void {
    this.#inFlight.delete(op);
    this.#operations = this.#operations.flatMap((one) => (one === op ? parts : [one]));
  }

  /** Give the next operation to send, and the number of this attempt; `null` if there is none now. */
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

  /** Tell whether new operations may depend on one that the flow's version may rule out. */
  #mayBeInVain(): boolean {
    const first = this.#operations[0];
    return first !== undefined && first.ifVersion !== null && this.#inFlight.has(first);
  }

  /** Tell whether a refusal of this attempt counts: a newer attempt gets its own answer. */
  isNewest(op: Operation, attempt: number): boolean {
    return this.#inFlight.get(op) === attempt;
  }

  /** Remove a finished operation. */
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

  /** Send everything again: the server's channel is new. */
  restart(): void {
    this.#isHeld = false;
    this.#inFlight.clear();
  }
}
