/**
 * Paths of a document: who has a role for some of them changes nothing else.
 *
 * A path is written as a JSON Pointer (RFC 6901). It covers the place that it names, and all within. `*` stands
 * for any one member, `**` at the end for one member or more. A type may follow the member that is a node or an
 * edge: `/nodes/*[type=prompt]/data/**`.
 */

import type { JsonObject } from "../types.js";
import { isEmpty, isObject, own } from "./mergepatch.js";
import { pointerOf } from "./telling.js";

const MAX_CHARACTERS = 512;

const TYPED = /^(.*)\[type=([^[\]]+)\]$/su;

const ELEMENTS: readonly string[] = ["nodes", "edges"];

/** One member on the way: its name and its type, each `null` for any. */
interface Step {
  name: string | null;
  type: string | null;
}

/** A path that was read. */
export interface DocumentPath {
  steps: readonly Step[];
  /** Whether it covers only what is within the named place (`**`). */
  isBelow: boolean;
}

/**
 * Read a path.
 *
 * @throws TypeError if it is none, with the reason.
 */
export function readPath(text: string): DocumentPath {
  if (!text.startsWith("/")) {
    throw new TypeError('a path begins with "/"');
  }
  if (Array.from(text).length > MAX_CHARACTERS) {
    throw new TypeError(`a path has at most ${MAX_CHARACTERS} characters`);
  }
  const names = text.slice(1).split("/");
  const isBelow = names.at(-1) === "**";
  if (isBelow) {
    names.pop();
  }
  if (names.includes("**")) {
    throw new TypeError('"**" is the last member of a path');
  }
  return { steps: names.map((name, place) => stepOf(name, place, names)), isBelow };
}

/** Read paths. One that this version can't read covers nothing: the server judges all changes anyway. */
export function readPaths(texts: readonly string[]): readonly DocumentPath[] {
  return texts.flatMap((text) => {
    try {
      return [readPath(text)];
    } catch {
      return [];
    }
  });
}

function stepOf(text: string, place: number, names: readonly string[]): Step {
  const [, typed, type = null] = TYPED.exec(text) ?? [];
  if (type !== null && (place !== 1 || !ELEMENTS.includes(names[0] ?? ""))) {
    throw new TypeError("only a node or an edge has a type: /nodes/*[type=prompt]");
  }
  const name = typed ?? text;
  if (/~(?![01])/u.test(name)) {
    throw new TypeError('"~" is written ~0, and "/" within a name ~1');
  }
  return { name: name === "*" ? null : name.replaceAll("~1", "/").replaceAll("~0", "~"), type };
}

/** The type of the node or the edge on the way to a place; `null` if there is none on it. */
type Found = { type: unknown } | null;

function covers({ steps, isBelow }: DocumentPath, place: readonly string[], found: Found): boolean {
  if (place.length < steps.length + (isBelow ? 1 : 0)) {
    return false;
  }
  return steps.every(
    ({ name, type }, at) =>
      (name === null || name === place[at]) && (type === null || (found !== null && found.type === type)),
  );
}

/**
 * Find the first place that a patch changes and that no path covers.
 *
 * A node or an edge that the patch makes or deletes counts as a place of its own: who may change its members
 * may not make it. A type counts as the document has it, and as the patch leaves it.
 *
 * @param content the document before the patch.
 * @returns a JSON Pointer; `null` if all is covered.
 */
export function firstOutside(paths: readonly DocumentPath[], patch: JsonObject, content: JsonObject): string | null {
  for (const { place, found } of placesOf(patch, content)) {
    if (!found.every((one) => paths.some((path) => covers(path, place, one)))) {
      return pointerOf(place);
    }
  }
  return null;
}

/** Tell whether all paths together let one place of the document be changed, such as `["nodes", "n1", "data"]`. */
export function mayChange(paths: readonly DocumentPath[], place: readonly string[], content: JsonObject): boolean {
  const [kind = "", id = ""] = place;
  const members = ELEMENTS.includes(kind) ? own(content, kind) : undefined;
  const element = isObject(members) ? own(members, id) : undefined;
  const found = isObject(element) ? { type: own(element, "type") } : null;
  return paths.some((path) => covers(path, place, found));
}

interface Place {
  place: readonly string[];
  /** The types before and after. */
  found: readonly Found[];
}

/** List what a patch sets or deletes. */
function* placesOf(patch: JsonObject, content: JsonObject): Generator<Place> {
  for (const [name, value] of Object.entries(patch)) {
    if (!ELEMENTS.includes(name) || !isObject(value)) {
      yield* leavesOf([name], value, [null]);
      continue;
    }
    const members = own(content, name);
    for (const [id, change] of Object.entries(value)) {
      const element = isObject(members) ? own(members, id) : undefined;
      const found = typesOf(element, change);
      if (isObject(element) && isObject(change)) {
        yield* leavesOf([name, id], change, found);
      } else {
        yield { place: [name, id], found };
      }
    }
  }
}

/** Give the types of a node or an edge before and after a change, where it is one then. */
function typesOf(element: unknown, change: unknown): readonly Found[] {
  const before = isObject(element) ? { type: own(element, "type") } : null;
  const after = isObject(change)
    ? { type: Object.hasOwn(change, "type") ? (own(change, "type") ?? undefined) : before?.type }
    : null;
  const types = [before, after].filter((one) => one !== null);
  return types.length === 0 ? [null] : types;
}

/** List the places that a value of a patch sets, without recursion: it may be deep. */
function* leavesOf(start: readonly string[], value: unknown, found: readonly Found[]): Generator<Place> {
  const waiting = [{ place: start, inner: value }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { place, inner } = next;
    if (isObject(inner) && !isEmpty(inner)) {
      for (const [name, member] of Object.entries(inner).reverse()) {
        waiting.push({ place: [...place, name], inner: member });
      }
    } else {
      yield { place, found };
    }
  }
}
