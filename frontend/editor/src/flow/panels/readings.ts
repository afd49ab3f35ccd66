/** What is written in a field, as a value, and a value, as it is written there. Pure functions. */

import { own } from "helix-flows";

import { type Field, textOf } from "../../kinds";
import { faultIn, isObject } from "../edits/values";

/** What was read of a field: a value, or why there is none yet. */
export type Reading = { value: unknown } | { fault: string };

/** Tell whether a field holds just what is written in it. */
export function isPlain({ form }: Field): boolean {
  return form === "line" || form === "text" || form === "code";
}

/** Write a value as it is edited. */
export function written({ form }: Field, value: unknown): string {
  if (form === "list" && Array.isArray(value)) {
    return value.map(textOf).join("\n");
  }
  return form === "json" && typeof value !== "string" && value !== undefined ? JSON.stringify(value, null, 1) : textOf(value);
}

/** Give a value with the members of its objects in the order of another's: who writes finds them where they were. */
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

/** Read JSON; what no document holds is a fault. */
function readJson(text: string): Reading {
  try {
    const value = JSON.parse(text) as unknown;
    const fault = faultIn(value);
    return fault === null ? { value } : { fault };
  } catch (error) {
    return { fault: `Invalid JSON: ${error instanceof Error ? error.message : ""}` };
  }
}

/** Read what was edited, where the field held `first` before. */
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
    // What was a number stays one, if it can.
    const reading = readJson(text);
    return "value" in reading ? reading : { value: text };
  }
  return { value: text };
}

const YES_OR_NO = ["true", "false"];
const ANSWERS = new Map([["true", "Yes"], ["false", "No"]]);

/** Give a switch as a choice of words: so it can be unset, and different in many. */
export function asChoice(field: Field): Field {
  return { ...field, form: YES_OR_NO, names: ANSWERS };
}
