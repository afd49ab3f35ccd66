/** Values that documents can hold, and patches between them. Pure functions. */

import { diff, type JsonObject } from "helix-flows";

/** Names that no document can contain. */
const FORBIDDEN = new Set(["__proto__", "constructor", "prototype"]);

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** How deep the value of a field may nest: a document may nest 32 deep, and the value lies 4 deep in it. */
const MOST_DEEP = 28;

/** Say why no document can hold a value of a field; `null` if it can. Lists are replaced whole, so they may contain null. */
export function faultIn(value: unknown, isInList = false, depth = 1): string | null {
  if (typeof value === "number") {
    return Math.abs(value) <= Number.MAX_SAFE_INTEGER ? null : "This number is too large to be stored exactly";
  }
  if (typeof value !== "object" || value === null) {
    return null;
  }
  if (depth > MOST_DEEP) {
    return `Lists and objects can't nest deeper than ${MOST_DEEP}`;
  }
  const isList = isInList || Array.isArray(value);
  for (const [name, member] of Object.entries(value) as [string, unknown][]) {
    const isMissing = member === null && !isList;
    const fault = FORBIDDEN.has(name) ? `“${name}” can't be used as a name` : isMissing ? `“${name}” can't be null: leave it out` : faultIn(member, isList, depth + 1);
    if (fault !== null) {
      return fault;
    }
  }
  return null;
}

/**
 * Give the merge patch that turns a value into another, with `null` for removed members.
 *
 * @param current the current value.
 * @param before the value that its writer saw: what others have added since stays.
 */
export function turning(current: unknown, before: unknown, now: unknown): unknown {
  return isObject(current) && isObject(now) ? diff(isObject(before) ? before : current, now) : now;
}
