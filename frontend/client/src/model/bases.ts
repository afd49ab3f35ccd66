/** The texts that a patch's texts were made from: needed to merge them with others' edits. */

import type { JsonObject } from "../types.js";
import { isObject, own } from "./mergepatch.js";
import { MAX_EFFORT, mergeTexts } from "./texts.js";

/** By the JSON Pointer of a text in the document: the text before. `""` if there was none. */
export type Bases = Readonly<Record<string, string>>;

/** Texts of one patch that are merged; further texts are taken as they are, as on the server. */
const MAX_TEXTS = 32;

/** List where a patch sets or deletes a text. */
export function textsIn(patch: JsonObject, within = ""): string[] {
  return Object.entries(patch).flatMap(([name, value]) => {
    const pointer = `${within}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    if (isObject(value)) {
      return textsIn(value, pointer);
    }
    return typeof value === "string" || value === null ? [pointer] : [];
  });
}

/** Read texts from a document; values of other types are left out. */
export function basesIn(document: JsonObject, pointers: readonly string[]): Bases {
  const bases = pointers.flatMap((pointer) => {
    const value = at(document, pathOf(pointer));
    return value === undefined || typeof value === "string" ? [[pointer, value ?? ""] as const] : [];
  });
  return Object.fromEntries(bases);
}

/**
 * Merge a patch's texts with what others have written in them meanwhile.
 *
 * @param isHeld whether the document may hold the patch already: then the document's texts are taken.
 * @returns the patch, and the JSON Pointers of the texts in which both changed the same words.
 */
export function withOthers(
  document: JsonObject,
  patch: JsonObject,
  bases: Bases,
  isHeld = false,
): { patch: JsonObject; conflicts: string[] } {
  const effort = { left: MAX_EFFORT };
  const conflicts: string[] = [];
  let result = patch;
  for (const [pointer, base] of Object.entries(bases).slice(0, MAX_TEXTS)) {
    const path = pathOf(pointer);
    const [theirs, mine] = [at(document, path), at(patch, path)];
    if (typeof theirs === "string" && theirs !== base && (typeof mine === "string" || mine === null)) {
      const { text, isConflict } = isHeld
        ? { text: theirs, isConflict: false }
        : mergeTexts(base, theirs, mine ?? "", effort);
      result = put(result, path, text === "" ? mine && "" : text);
      if (isConflict) {
        conflicts.push(pointer);
      }
    }
  }
  return { patch: result, conflicts };
}

function pathOf(pointer: string): string[] {
  return pointer.split("/").slice(1).map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((within, name) => (isObject(within) ? own(within, name) : undefined), value);
}

function put(object: JsonObject, [name = "", ...rest]: readonly string[], value: unknown): JsonObject {
  const inner = own(object, name);
  return { ...object, [name]: rest.length > 0 && isObject(inner) ? put(inner, rest, value) : value };
}
