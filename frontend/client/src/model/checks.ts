/** Readers for what other programs write: each gives a value of the wanted type, or nothing. */

import type { JsonObject, Point } from "../types.js";
import { isObject, LARGEST_NUMBER } from "./mergepatch.js";

/** Reads a value; `undefined` if it isn't of the type. */
export type Check<T> = (value: unknown) => T | undefined;

export function isText(value: unknown): value is string {
  return typeof value === "string";
}

/** A number that a document may hold. (JSON has `1e999`, too.) */
export function isNumber(value: unknown): value is number {
  return typeof value === "number" && Math.abs(value) <= LARGEST_NUMBER;
}

export function isPoint(value: unknown): value is Point {
  return isObject(value) && isNumber(value["x"]) && isNumber(value["y"]);
}

export const text: Check<string> = (value) => (isText(value) ? value : undefined);

export const flag: Check<boolean> = (value) => (typeof value === "boolean" ? value : undefined);

export const number: Check<number> = (value) => (isNumber(value) ? value : undefined);

/** A length: a positive number. */
export const size: Check<number> = (value) => (isNumber(value) && value > 0 ? value : undefined);

export const pair: Check<[number, number]> = (value) =>
  Array.isArray(value) && value.length === 2 && value.every(isNumber) ? [value[0] as number, value[1] as number] : undefined;

/** A count. */
export const count: Check<number> = (value) => (Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined);

export const object: Check<JsonObject> = (value) => (isObject(value) ? value : undefined);

/** The texts of a list; other items are left out. */
export const texts: Check<string[]> = (value) => (Array.isArray(value) ? value.filter(isText) : undefined);

/** Make a reader that accepts one of some texts. */
export function oneOf<T extends string>(...texts: readonly T[]): Check<T> {
  return (value) => texts.find((one) => one === value);
}

/** Make a reader that accepts either of two. */
export function either<A, B>(a: Check<A>, b: Check<B>): Check<A | B> {
  return (value) => a(value) ?? b(value);
}

/** Read an object's known members, as far as they can be read. */
export function readMembers(given: JsonObject, checks: Readonly<Record<string, Check<unknown>>>): JsonObject {
  const read: [string, unknown][] = [];
  for (const [name, check] of Object.entries(checks)) {
    const value = Object.hasOwn(given, name) ? check(given[name]) : undefined;
    if (value !== undefined) {
      read.push([name, value]);
    }
  }
  return Object.fromEntries(read);
}

/** Matches styles that load something from elsewhere, which tracks whoever looks, and ways to hide that. */
const LOADING = /\\|(?:url|image|image-set|src|cross-fade|element|paint)\(/i;

/** Tell whether a style's value is only that value. */
export function isSafeStyle(value: string): boolean {
  return !LOADING.test(value) && !/[;{}]/.test(value);
}

/** A colour that makes a style load nothing. */
export const color: Check<string> = (value) => (isText(value) && value !== "" && isSafeStyle(value) ? value : undefined);

/** Members of a style object that aren't CSS properties. */
const NO_PROPERTIES = new Set([
  "cssText", "getPropertyPriority", "getPropertyValue", "item", "length", "parentRule", "removeProperty", "setProperty",
]);

/** The properties of a React style that are texts or numbers. */
export const style: Check<JsonObject> = (value) => {
  if (!isObject(value)) {
    return undefined;
  }
  return Object.fromEntries(
    Object.entries(value).filter(([name, one]) => {
      const isProperty = /^-{0,2}[a-z][\w-]*$/i.test(name) && !NO_PROPERTIES.has(name) && !isInherited(name);
      return isProperty && (isText(one) ? isSafeStyle(one) : isNumber(one));
    }),
  );
};

/** Tell whether every object inherits a member of that name. */
export function isInherited(name: string): boolean {
  return Reflect.has(Object.prototype, name);
}
