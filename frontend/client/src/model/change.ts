/** A change of one's own, and what takes it back. */

import type { JsonObject } from "../types.js";

/** What counts of an operation here; it changes until the log has it. */
export interface Change {
  /** The version at which the log holds it; `null` while that isn't known. */
  durableAt: number | null;
  /** What it changed. */
  effective: JsonObject;
  /** What takes that away again. */
  inverse: JsonObject;
  /** What it takes back itself, until it is in the log. */
  undoes?: readonly Change[] | null;
  /** By its JSON Pointer: of what a text in it was made. */
  bases?: Readonly<Record<string, string>>;
}

/** List the JSON Pointers of all texts that changes have changed. */
export function textsOf(changes: readonly Change[]): string[] {
  return [...new Set(changes.flatMap(({ bases }) => Object.keys(bases ?? {})))];
}
