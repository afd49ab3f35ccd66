/** What one may undo and redo: one's own steps, and nothing that others have changed since. */

import { apply, difference, stage } from "./document";
import { fresh, isEmpty, isObject, mergeObjects, own, same } from "./mergepatch";
import type { Operation } from "./replica";
import type { FlowDocument, JsonObject } from "./types";

/** Steps that can be undone; older ones are forgotten. */
export const MAX_STEPS = 500;

/** The part of an operation that counts here; it changes until the log has it. */
export type Change = Pick<Operation, "durableAt" | "effective" | "inverse">;

interface Step {
  /** What is done under the same key next belongs to it; `null` once it is complete. */
  key: string | null;
  changes: Change[];
}

/** The steps of one client. */
export class History {
  #done: Step[] = [];
  #undone: Step[] = [];

  get canUndo(): boolean {
    return this.#done.length > 0;
  }

  get canRedo(): boolean {
    return this.#undone.length > 0;
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
    const without = (steps: Step[]): Step[] =>
      steps
        .map((step) => ({ ...step, changes: step.changes.filter((one) => one !== change) }))
        .filter((step) => step.changes.length > 0);
    this.#done = without(this.#done);
    this.#undone = without(this.#undone);
  }

  /** Give up what of the changes before it somebody else's entry has changed again. */
  overtake(patch: JsonObject, version: number): void {
    for (const { changes } of [...this.#done, ...this.#undone]) {
      for (const change of changes) {
        if (change.durableAt !== null && change.durableAt < version) {
          change.inverse = untouched(change.inverse, patch);
        }
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
   * @param submit takes the patch that does it, and gives the change that it makes.
   * @returns whether there was one.
   */
  undo(shown: FlowDocument, submit: (patch: JsonObject) => Change): boolean {
    return this.#turn(this.#done, this.#undone, shown, submit);
  }

  /** Undo the last undo, likewise. */
  redo(shown: FlowDocument, submit: (patch: JsonObject) => Change): boolean {
    return this.#turn(this.#undone, this.#done, shown, submit);
  }

  #turn(
    from: Step[],
    to: Step[],
    shown: FlowDocument,
    submit: (patch: JsonObject) => Change,
  ): boolean {
    for (let step = from.pop(); step !== undefined; step = from.pop()) {
      const patch = undoing(shown, step.changes);
      if (!isEmpty(patch)) {
        this.#push(to, { key: null, changes: [submit(patch)] });
        return true;
      }
    }
    return false;
  }

  #push(steps: Step[], step: Step): void {
    steps.push(step);
    if (steps.length > MAX_STEPS) {
      steps.shift();
    }
  }
}

/** Make the patch that takes changes back from a document, as far as nobody has changed them since. */
export function undoing(shown: FlowDocument, changes: readonly Change[]): JsonObject {
  let document = shown;
  for (const change of changes.toReversed()) {
    const patch = stillOurs(document, change.effective, change.inverse);
    document = apply(document, stage(document, sparing(document, patch)));
  }
  return difference(shown, document);
}

/** Reduce the inverse of a change to where the document still is as the change has left it. */
function stillOurs(document: JsonObject, effective: JsonObject, inverse: JsonObject): JsonObject {
  const result: JsonObject = {};
  for (const [name, before] of Object.entries(inverse)) {
    const after = effective[name];
    const current = own(document, name);
    if (isObject(after) && isObject(before)) {
      const part = isObject(current) ? stillOurs(current, after, before) : {};
      if (!isEmpty(part)) {
        result[name] = part;
      }
    } else if (same(current, after === null ? undefined : fresh(after))) {
      result[name] = before;
    }
  }
  return result;
}

/** Reduce an inverse to what a later patch doesn't touch. */
function untouched(inverse: JsonObject, patch: JsonObject): JsonObject {
  const result: JsonObject = {};
  for (const [name, before] of Object.entries(inverse)) {
    const touch = own(patch, name);
    if (touch === undefined) {
      result[name] = before;
    } else if (isObject(before) && isObject(touch)) {
      const part = untouched(before, touch);
      if (!isEmpty(part)) {
        result[name] = part;
      }
    }
  }
  return result;
}

/** Keep the nodes that others have connected since: with a node would go their edges. */
function sparing(document: FlowDocument, patch: JsonObject): JsonObject {
  const { nodes, edges } = patch;
  if (!isObject(nodes) || !Object.values(nodes).includes(null)) {
    return patch;
  }
  const edgesAfter = mergeObjects(document.edges, isObject(edges) ? edges : {});
  const spared = new Set(Object.values(edgesAfter).flatMap(({ source, target }) => [source, target]));
  const kept = Object.entries(nodes).filter(([id, value]) => value !== null || !spared.has(id));
  return { ...patch, nodes: Object.fromEntries(kept) };
}
