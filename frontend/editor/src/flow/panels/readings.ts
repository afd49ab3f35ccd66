/** Converts a field's text to a value, and back. Pure functions. */

import { own } from "helix-flows";

import { type Field, textOf } from "../../kinds";
import { faultIn, isObject } from "../edits/values";

/** The result of reading a field: a value, or an error. */
export type Reading = { value: unknown } | { fault: string };

/** Tell whether a field's value is its text. */
export function isPlain({ form }: Field): boolean {
  return form === "line" || form === "text" || form === "code";
}

/** Write a value as text to edit. */
export function written({ form }: Field, value: unknown): string {
  if (form === "list" && Array.isArray(value)) {
    return value.map(textOf).join("\n");
  }
  return form === "json" && typeof value !== "string" && value !== undefined ? JSON.stringify(value, null, 1) : textOf(value);
}

/** Sort a value's object members like another value's, so that its writer finds them where they were. */
export function inOrderOf(order: unknown, value: unknown): unknown {
  if (!isObject(order) || !isObject(value)) {
    return value;
  }
  const names = new Set([...Object.keys(order), ...Object.keys(value)]);
  const members = [...names].filter((name) => Object.hasOwn(value, name)).map((name) => [name, inOrderOf(own(order, name), own(value, name))]);
  return Object.fromEntries(members) as unknown;
}

function readNumber({ isOptional, isWhole, range: [least, most] = [-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER] }: Field, text: string): Reading {
  const number = Number(text);
  if (text.trim() === "") {
    return isOptional === true ? { value: null } : { fault: "Enter a number" };
  }
  if (!Number.isFinite(number)) {
    return { fault: "Not a number" };
  }
  if (number < least || number > most) {
    return { fault: number < least ? `At least ${least}` : `At most ${most}` };
  }
  return isWhole === true && !Number.isInteger(number) ? { fault: "Enter a whole number" } : { value: number };
}

/** Read JSON; what no document can hold is an error. */
function readJson(text: string): Reading {
  try {
    const value = JSON.parse(text) as unknown;
    const fault = faultIn(value);
    return fault === null ? { value } : { fault };
  } catch (error) {
    return { fault: `Invalid JSON: ${error instanceof Error ? error.message : ""}` };
  }
}

/** Read an edited text; the field's value was `first` before. */
export function read(field: Field, text: string, first: unknown): Reading {
  if (field.form === "list") {
    return { value: text.split("\n").filter((line) => line.trim() !== "") };
  }
  if (field.form === "number") {
    return readNumber(field, text);
  }
  if (field.form === "json" && /^\s*[[{]/.test(text)) {
    return readJson(text);
  }
  if (field.form === "json" && (typeof first === "number" || typeof first === "boolean")) {
    // A number stays a number if possible.
    const reading = readJson(text);
    return "value" in reading ? reading : { value: text };
  }
  return { value: text };
}

const YES_OR_NO = ["true", "false"];
const ANSWERS = new Map([["true", "Yes"], ["false", "No"]]);

/** Turn a switch into a choice of words, so that it can be unset or have different values. */
export function asChoice(field: Field): Field {
  return { ...field, form: YES_OR_NO, names: ANSWERS };
}
