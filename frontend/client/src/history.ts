/** What one may undo and redo: one's own steps, and nothing that others have changed since. */

import type { FlowDocument, JsonObject } from "./types";
import { isEmpty } from "./mergepatch";
import { type Change, undoing, untouched } from "./undoing";

/** Steps that can be undone; older ones are forgotten. */
export const MAX_STEPS = 500;

interface Step {
  /** What is done under the same key next belongs to it; `null` once it is complete. */
  key: string | null;
  changes: Change[];
}

/** Takes back the changes of a step of which something is left, and gives the changes that do so. */
export type TakeBack = (changes: readonly Change[]) => Change[];

/** The steps of one client. */
export class History {
  #done: Step[] = [];
  #undone: Step[] = [];
  /** Of which steps something was left when one looked last, and in what document that was. */
  readonly #left = new WeakMap<Step, { shown: FlowDocument; isLeft: boolean }>();

  /** Tell whether `undo` would change what is shown. */
  canUndo(shown: FlowDocument | null): boolean {
    return this.#canTurn(this.#done, shown);
  }

  /** Tell whether `redo` would. */
  canRedo(shown: FlowDocument | null): boolean {
    return this.#canTurn(this.#undone, shown);
  }

  /**
   * Note a change that was made.
   *
   * @param key what is done under one key in a row is one step; `null` for a step of its own.
   */
  add(change: Change, key: string | null): void {
    this.#undone = [];
    const last = this.#done.at(-1);
    if (key !== null && last?.key === key) {
      last.changes.push(change);
      return;
    }
    this.end();
    this.#push(this.#done, { key, changes: [change] });
  }

  /** Let the last step be complete. */
  end(): void {
    const last = this.#done.at(-1);
    if (last !== undefined) {
      last.key = null;
    }
  }

  /** Forget a change that will never be. */
  drop(change: Change): void {
    this.replace(change, []);
  }

  /** Let several changes stand for one, in the same step. */
  replace(change: Change, parts: readonly Change[]): void {
    const within = (steps: Step[]): Step[] => {
      for (const step of steps.filter(({ changes }) => changes.includes(change))) {
        step.changes = step.changes.flatMap((one) => (one === change ? parts : [one]));
      }
      return steps.filter(({ changes }) => changes.length > 0);
    };
    this.#done = within(this.#done);
    this.#undone = within(this.#undone);
  }

  /** Give up what of the changes before it somebody else's entry has changed again. */
  overtake(patch: JsonObject, version: number): void {
    for (const { changes } of [...this.#done, ...this.#undone]) {
      for (const change of changes) {
        overtakeOne(change, patch, version);
        change.undoes?.forEach((one) => {
          overtakeOne(one, patch, version);
        });
      }
    }
  }

  clear(): void {
    this.#done = [];
    this.#undone = [];
  }

  /**
   * Undo the last step of which something is left.
   *
   * @returns whether there was one.
   */
  undo(shown: FlowDocument, takeBack: TakeBack): boolean {
    return this.#turn(this.#done, this.#undone, shown, takeBack);
  }

  /** Undo the last undo, likewise. */
  redo(shown: FlowDocument, takeBack: TakeBack): boolean {
    return this.#turn(this.#undone, this.#done, shown, takeBack);
  }

  #turn(from: Step[], to: Step[], shown: FlowDocument, takeBack: TakeBack): boolean {
    for (let step = from.pop(); step !== undefined; step = from.pop()) {
      if (this.#isLeft(step, shown)) {
        this.#push(to, { key: null, changes: takeBack(step.changes) });
        return true;
      }
    }
    return false;
  }

  #canTurn(steps: readonly Step[], shown: FlowDocument | null): boolean {
    return shown !== null && steps.findLast((step) => this.#isLeft(step, shown)) !== undefined;
  }

  #isLeft(step: Step, shown: FlowDocument): boolean {
    const before = this.#left.get(step);
    if (before?.shown === shown) {
      return before.isLeft;
    }
    const isLeft =
      step.changes.some(({ inverse }) => !isEmpty(inverse)) &&
      !isEmpty(undoing(shown, step.changes));
    this.#left.set(step, { shown, isLeft });
    return isLeft;
  }

  #push(steps: Step[], step: Step): void {
    steps.push(step);
    if (steps.length > MAX_STEPS) {
      steps.shift();
    }
  }
}

function overtakeOne(change: Change, patch: JsonObject, version: number): void {
  if (change.durableAt !== null && change.durableAt < version) {
    change.inverse = untouched(change.inverse, patch);
  }
}
