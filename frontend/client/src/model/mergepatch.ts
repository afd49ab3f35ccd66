/**
 * JSON Merge Patch (RFC 7396) as an algebra over plain data: merge, minimal, diff, inverse, compose.
 *
 * No value is ever changed in place. A result shares unchanged parts with its arguments, so `===` tells
 * quickly that something hasn't changed. As in the server's `helix/documents/merge_patch.py`, no member of a
 * document's objects is null; arrays are values, replaced whole.
 */

import type { JsonObject } from "../types.js";

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Read an object's own member; `undefined` if there is none. Inherited members don't count: a document may
 * contain any names, such as `toString`.
 */
export function own<T>(object: Readonly<Record<string, T>> | undefined, name: string): T | undefined {
  return object !== undefined && Object.hasOwn(object, name) ? object[name] : undefined;
}

/** Apply a merge patch: the `MergePatch` function of RFC 7396, section 2. */
export function merge(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) {
    return patch;
  }
  return isObject(target) ? mergeObjects(target, patch) : fresh(patch);
}

/** Apply a merge patch to an object; the object itself if nothing changes. */
export function mergeObjects<T extends JsonObject>(target: T, patch: JsonObject): T {
  let result = target;
  const change = (): JsonObject => (result === target ? (result = { ...target }) : result);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) {
      if (Object.hasOwn(result, name)) {
        // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- it is a copy of ours
        delete change()[name];
      }
      continue;
    }
    const old = own(target, name);
    const merged = merge(old, value);
    if (merged !== old) {
      change()[name] = merged;
    }
  }
  return result;
}

/** Give what a patch's value becomes where there is no object: itself without nulls. */
export function fresh(value: unknown): unknown {
  if (!isObject(value)) {
    return value;
  }
  const members = Object.entries(value).filter(([, member]) => member !== null);
  return Object.fromEntries(members.map(([name, member]) => [name, fresh(member)]));
}

/** Tell whether two values are the same JSON. */
export function same(a: unknown, b: unknown): boolean {
  if (a === b) {
    return true;
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((member, index) => same(member, b[index]));
  }
  if (!isObject(a) || !isObject(b)) {
    return false;
  }
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && same(own(a, name), own(b, name)))
  );
}

/**
 * Reduce a patch to what it changes in `target`, in time that depends on the patch alone; `{}` if it
 * changes nothing.
 */
export function minimal(target: JsonObject, patch: JsonObject): JsonObject {
  const result: JsonObject = {};
  for (const [name, value] of Object.entries(patch)) {
    const old = own(target, name);
    if (value === null) {
      if (old !== undefined) {
        result[name] = null;
      }
    } else if (!isObject(value)) {
      if (!same(old, value)) {
        result[name] = value;
      }
    } else if (!isObject(old)) {
      result[name] = fresh(value);
    } else {
      const change = minimal(old, value);
      if (!isEmpty(change)) {
        result[name] = change;
      }
    }
  }
  return result;
}

/** Make the patch that turns one object into another: `merge(a, diff(a, b))` is the same as `b`. */
export function diff(a: JsonObject, b: JsonObject): JsonObject {
  const result: JsonObject = {};
  for (const name of Object.keys(a)) {
    if (own(b, name) === undefined) {
      result[name] = null;
    }
  }
  for (const [name, value] of Object.entries(b)) {
    const old = own(a, name);
    if (old === value || value === undefined) {
      continue;
    }
    if (isObject(old) && isObject(value)) {
      const change = diff(old, value);
      if (!isEmpty(change)) {
        result[name] = change;
      }
    } else if (!same(old, value)) {
      result[name] = value;
    }
  }
  return result;
}

/** Make the patch that undoes `patch`: `merge(merge(d, p), inverse(d, p))` is the same as `d`. */
export function inverse(document: JsonObject, patch: JsonObject): JsonObject {
  const result: JsonObject = {};
  for (const [name, value] of Object.entries(patch)) {
    const old = own(document, name);
    if (isObject(old) && isObject(value)) {
      const change = inverse(old, value);
      if (!isEmpty(change)) {
        result[name] = change;
      }
    } else if (old !== undefined) {
      result[name] = old;
    } else if (value !== null) {
      result[name] = null;
    }
  }
  return result;
}

/**
 * Make one patch of two, first `p`, then `q`; `null` if no merge patch does what both do.
 *
 * This happens if `q` sets members of what `p` deleted, or replaced by something that isn't an object.
 */
export function compose(p: JsonObject, q: JsonObject): JsonObject | null {
  const result: JsonObject = { ...p };
  for (const [name, value] of Object.entries(q)) {
    const before = own(p, name);
    if (before === undefined || !isObject(value)) {
      result[name] = value;
      continue;
    }
    const both = isObject(before) ? compose(before, value) : null;
    if (both === null) {
      return null;
    }
    result[name] = both;
  }
  return result;
}

/**
 * Give `next`, but with the equal parts of `previous`.
 *
 * Only objects that are not identical are looked into.
 */
export function share<T>(previous: unknown, next: T): T {
  if (previous === next) {
    return next;
  }
  if (!isObject(previous) || !isObject(next)) {
    return same(previous, next) ? (previous as T) : next;
  }
  const members = Object.entries(next);
  let isSame = members.length === Object.keys(previous).length;
  let result: JsonObject = next;
  for (const [name, now] of members) {
    const old = own(previous, name);
    const shared = share(old, now);
    if (shared !== now) {
      if (result === next) {
        result = { ...next };
      }
      result[name] = shared;
    }
    isSame &&= shared === old;
  }
  return (isSame ? previous : result) as T;
}

export function isEmpty(object: JsonObject): boolean {
  return Object.keys(object).length === 0;
}

/** Up to here doubles hold every whole number; no number of a document is farther from 0. */
export const LARGEST_NUMBER = 2 ** 53;
