/** The user: a guest named after a colour and an animal, until they change the name. */

import { authorOf } from "helix-flows";

import { HEX } from "./kinds";
import { store, stored } from "./storage";

export interface Person {
  id: string;
  name: string;
  color: string;
}

const KEY = "helix-person";

/** White text is readable on all of them. */
const COLORS = [
  ["Teal", "#0f766e"], ["Amber", "#b45309"], ["Rose", "#be123c"], ["Indigo", "#4338ca"], ["Violet", "#7e22ce"],
  ["Green", "#15803d"], ["Sky", "#0369a1"], ["Pink", "#be185d"], ["Orange", "#c2410c"], ["Slate", "#475569"],
] as const;

const ANIMALS = [
  "Badger", "Crane", "Dolphin", "Falcon", "Fox", "Gecko", "Hare", "Heron", "Ibis", "Jay", "Koala", "Lynx", "Marten",
  "Newt", "Otter", "Panda", "Quail", "Raven", "Seal", "Tapir", "Urial", "Vole", "Wren", "Yak",
];

/** An id of a person; other pages of this address may have stored anything. */
const ID = /^[\w-]{1,64}$/;

/** Names that all objects and functions have: they can't be ids. */
const RESERVED: ReadonlySet<string> = new Set([...Object.getOwnPropertyNames(Object.prototype), "prototype"]);

function pick<T>(from: readonly T[]): T {
  const [number = 0] = crypto.getRandomValues(new Uint32Array(1));
  return from[number % from.length] as T;
}

function guest(): Person {
  const [name, color] = pick(COLORS);
  return { id: randomId(), name: `${name} ${pick(ANIMALS)}`, color };
}

function read(text: string | null): Person | null {
  try {
    const person = JSON.parse(text ?? "null") as Partial<Person> | null;
    const { id, name, color } = person ?? {};
    // The server refuses whoever comes with an impossible id, a name that is too long, or a long colour.
    const isWhole = typeof id === "string" && ID.test(id) && !RESERVED.has(id) && typeof color === "string" && HEX.test(color);
    const shown = authorOf(name);
    return isWhole && shown !== "" ? { id, name: shown, color } : null;
  } catch {
    return null;
  }
}

/** Give the user of this browser; a new guest at the first time. */
export function thePerson(): Person {
  const known = read(stored(KEY));
  if (known !== null) {
    return known;
  }
  const person = guest();
  store(KEY, JSON.stringify(person));
  return person;
}

/** Change the user's name. */
export function rename(name: string): Person {
  const person = { ...thePerson(), name: authorOf(name) || thePerson().name };
  store(KEY, JSON.stringify(person));
  return person;
}

/** Make a random id. `crypto.randomUUID` needs a secure page, and a daemon may be used without TLS. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(9));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}
