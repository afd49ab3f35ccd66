/** A change of one's own, and its inverse. */

import type { JsonObject } from "../types.js";

/** The effect of an operation. It may differ until the log has the operation. */
export interface Change {
  /** Its version in the log; `null` while this isn't known. */
  durableAt: number | null;
  /** What it changed. */
  effective: JsonObject;
  /** What reverts that. */
  inverse: JsonObject;
  /** The changes that it undoes, until it is in the log. */
  undoes?: readonly Change[] | null;
  /** The texts that its texts were made from, by JSON Pointer. */
  bases?: Readonly<Record<string, string>>;
}

/** List the JSON Pointers of all texts in some changes. */
export function textsOf(changes: readonly Change[]): string[] {
  return [...new Set(changes.flatMap(({ bases }) => Object.keys(bases ?? {})))];
}
