/** Undo and redo of one's own steps, without what others have changed since. */

import type { FlowDocument, JsonObject } from "../types.js";
import type { Change } from "./change.js";
import { isEmpty } from "./mergepatch.js";
import { overtake, undoing } from "./undoing.js";

/** The most steps that can be undone; older ones are forgotten. */
export const MAX_STEPS = 500;

interface Step {
  /** The next changes under the same key belong to it; `null` once it is complete. */
  key: string | null;
  changes: Change[];
}

/** Undoes a step's changes, and gives the changes that do so. */
export type TakeBack = (changes: readonly Change[]) => Change[];

/** The undo history of one client. */
export class History {
  #done: Step[] = [];
  #undone: Step[] = [];
  /** By each change that undoes a step: that step, and the step that it was above. */
  readonly #turned = new WeakMap<
    Change,
    { step: Step; way: "undo" | "redo"; below: Step | undefined }
  >();
  /** The steps with something left to undo at the last check, and that check's document. */
  #left = new WeakMap<Step, { shown: FlowDocument; isLeft: boolean }>();

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
   * @param key changes under one key in a row are one step; `null` for a step of its own.
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

  /** Complete the last step. */
  end(): void {
    const last = this.#done.at(-1);
    if (last !== undefined) {
      last.key = null;
    }
  }

  /** Forget a change that will never be in the log. */
  drop(change: Change): void {
    this.replace(change, []);
  }

  /** Forget a refused change; the step that it should have undone is there again. */
  giveBack(change: Change): void {
    const turned = this.#turned.get(change);
    this.drop(change);
    if (turned !== undefined) {
      const { step, way, below } = turned;
      const steps = way === "undo" ? this.#done : this.#undone;
      if (!steps.includes(step)) {
        steps.splice(below === undefined ? 0 : steps.indexOf(below) + 1, 0, step);
      }
    }
  }

  /** Replace a change by several, in the same step. */
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

  /** Remove from earlier changes what somebody else's entry has changed since. */
  overtake(patch: JsonObject, version: number): void {
    for (const { changes } of [...this.#done, ...this.#undone]) {
      for (const change of changes) {
        overtake(change, patch, version);
        change.undoes?.forEach((one) => {
          overtake(one, patch, version);
        });
      }
    }
    this.#left = new WeakMap();
  }

  clear(): void {
    this.#done = [];
    this.#undone = [];
  }

  /**
   * Undo the last step with something left to undo.
   *
   * @returns whether there was one.
   */
  undo(shown: FlowDocument, takeBack: TakeBack): boolean {
    return this.#turn("undo", shown, takeBack);
  }

  /** Redo the last undone step, by the same rule. */
  redo(shown: FlowDocument, takeBack: TakeBack): boolean {
    return this.#turn("redo", shown, takeBack);
  }

  #turn(way: "undo" | "redo", shown: FlowDocument, takeBack: TakeBack): boolean {
    const [from, to] = way === "undo" ? [this.#done, this.#undone] : [this.#undone, this.#done];
    for (let step = from.pop(); step !== undefined; step = from.pop()) {
      if (this.#isLeft(step, shown)) {
        const changes = takeBack(step.changes);
        for (const change of changes) {
          this.#turned.set(change, { step, way, below: from.at(-1) });
        }
        this.#push(to, { key: null, changes });
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
