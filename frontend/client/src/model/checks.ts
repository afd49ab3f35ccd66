/** What others have written, read as a value of the type that is wanted, or as nothing. */

import type { JsonObject, Point } from "../types.js";
import { isObject, LARGEST_NUMBER } from "./mergepatch.js";

/** Reads a value; `undefined` where it is none of the type. */
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

/** A length that something has. */
export const size: Check<number> = (value) => (isNumber(value) && value > 0 ? value : undefined);

export const pair: Check<[number, number]> = (value) =>
  Array.isArray(value) && value.length === 2 && value.every(isNumber) ? [value[0] as number, value[1] as number] : undefined;

/** What is counted. */
export const count: Check<number> = (value) => (Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined);

export const object: Check<JsonObject> = (value) => (isObject(value) ? value : undefined);

/** The texts of a list; what else is in it is left out. */
export const texts: Check<string[]> = (value) => (Array.isArray(value) ? value.filter(isText) : undefined);

/** Make a check of what may be one of some texts. */
export function oneOf<T extends string>(...texts: readonly T[]): Check<T> {
  return (value) => texts.find((one) => one === value);
}

/** Make a check of what may be either. */
export function either<A, B>(a: Check<A>, b: Check<B>): Check<A | B> {
  return (value) => a(value) ?? b(value);
}

/** Read the members that are known of an object, and of these what can be read. */
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

/** What has a style load something from elsewhere, so that whoever looks at it is told of there; or hides such. */
const LOADING = /\\|(?:url|image|image-set|src|cross-fade|element|paint)\(/i;

/** Tell whether a value of a style is nothing but that value. */
export function isSafeStyle(value: string): boolean {
  return !LOADING.test(value) && !/[;{}]/.test(value);
}

/** A colour, as far as it is nothing that a style would load. */
export const color: Check<string> = (value) => (isText(value) && value !== "" && isSafeStyle(value) ? value : undefined);

/** What a style's object has that is no property of CSS. */
const NO_PROPERTIES = new Set([
  "cssText", "getPropertyPriority", "getPropertyValue", "item", "length", "parentRule", "removeProperty", "setProperty",
]);

/** The properties of a style, as React has it, that are texts or numbers. */
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

/** Tell whether all objects have a member of that name. */
export function isInherited(name: string): boolean {
  return Reflect.has(Object.prototype, name);
}
