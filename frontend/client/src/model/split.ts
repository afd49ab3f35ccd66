/** Splits a patch that the server would refuse as too large. */

import type { JsonObject } from "../types.js";
import { isEmpty, isObject, own } from "./mergepatch.js";
import { parentsFirst } from "./nesting.js";
import { pointerOf } from "./telling.js";

/** What a node or an edge can't be created without. It comes first: nothing else means anything before. */
const FIRST = ["id", "type", "source", "target", "position", "parentId", "extent", "data"];

/** Count a value's bytes as the server does: JSON without white space. */
export function sizeOf(value: unknown): number {
  return new TextEncoder().encode(JSON.stringify(value)).length;
}

/**
 * Split a patch of a document into patches that together do the same, each at most `maxBytes` large if its
 * values allow this: objects can be split, texts and arrays can't.
 *
 * What is created comes before references to it, and references are removed before a node is deleted. So
 * nodes come first, parents before their children, then edges, then deleted nodes, children before their
 * parents.
 *
 * @param inverse the patch's inverse, which knows the parents of deleted nodes.
 */
export function split(patch: JsonObject, maxBytes: number, inverse: JsonObject = {}): JsonObject[] {
  const { nodes, edges, ...rest } = patch;
  const parts = new Parts(maxBytes);
  for (const [name, value] of Object.entries(rest)) {
    parts.add([name], value);
  }
  const ofNodes = objectOr(nodes);
  for (const id of parentsFirst(idsOf(ofNodes, false), (one) => parentIn(ofNodes, one))) {
    parts.add(["nodes", id], own(ofNodes, id));
  }
  for (const [id, value] of Object.entries(objectOr(edges))) {
    parts.add(["edges", id], value);
  }
  const before = objectOr(inverse["nodes"]);
  const gone = parentsFirst(idsOf(ofNodes, true), (one) => parentIn(before, one));
  for (const id of gone.reverse()) {
    parts.add(["nodes", id], null);
  }
  return parts.all;
}

/** Find the largest value that can't be split: give its JSON Pointer and its bytes. */
export function largest(patch: JsonObject): { path: string; bytes: number } {
  const path: string[] = [];
  let value: unknown = patch;
  while (isObject(value) && !isEmpty(value)) {
    const sizes = Object.entries(value).map(([name, member]) => ({ name, member, size: sizeOf(member) }));
    const { name, member } = sizes.reduce((most, one) => (one.size > most.size ? one : most));
    path.push(name);
    value = member;
  }
  return { path: pointerOf(path), bytes: sizeOf(value) };
}

function objectOr(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

/** List the deleted members, or those that are created or changed. */
function idsOf(members: JsonObject, isGone: boolean): string[] {
  return Object.entries(members).flatMap(([id, member]) => ((member === null) === isGone ? [id] : []));
}

function parentIn(members: JsonObject, id: string): unknown {
  return objectOr(own(members, id))["parentId"];
}

class Parts {
  readonly all: JsonObject[] = [];
  readonly #maxBytes: number;
  /** The most bytes of the last part. */
  #size = Infinity;
  /** Whether it contains only objects that are still empty. */
  #isHollow = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Add a member to the last part, or to a new one if it doesn't fit, or split it if it fits in none. */
  add(path: readonly string[], value: unknown): void {
    const size = sizeOf(value);
    if (this.#size + this.#roomFor(path, size) > this.#maxBytes) {
      this.#begin();
    }
    if (this.#size + this.#roomFor(path, size) <= this.#maxBytes || !isObject(value) || isEmpty(value)) {
      this.#put(path, value, size);
      this.#isHollow = false;
      return;
    }
    this.#part(path, value);
  }

  /** Spread an object over the last part and new ones. */
  #part(path: readonly string[], value: JsonObject): void {
    // It is an object afterwards, whatever it was before.
    this.#put(path, {}, "{}".length);
    for (const name of inOrder(value)) {
      const member = own(value, name);
      if (name === "data" && path.length === 2 && isObject(member)) {
        // The node doesn't exist without it, so some of it must be in the first part.
        this.#part([...path, name], member);
      } else {
        this.add([...path, name], member);
      }
    }
  }

  #begin(): void {
    this.all.splice(this.all.length - (this.#isHollow ? 1 : 0), 1, {});
    this.#size = "{}".length;
    this.#isHollow = true;
  }

  /** Count the bytes of a member, with the objects around it that the last part lacks. */
  #roomFor(path: readonly string[], size: number): number {
    let at: unknown = this.all.at(-1) ?? {};
    let room = size;
    for (const name of path) {
      const member = isObject(at) ? own(at, name) : undefined;
      room += member === undefined ? sizeOf(name) + ':{},'.length : 0;
      at = member;
    }
    return room;
  }

  #put(path: readonly string[], value: unknown, size: number): void {
    this.#size += this.#roomFor(path, size);
    let at: JsonObject = this.all.at(-1) ?? {};
    for (const name of path.slice(0, -1)) {
      const member = own(at, name);
      const inside: JsonObject = isObject(member) ? member : {};
      at[name] = inside;
      at = inside;
    }
    at[path.at(-1) ?? ""] = value;
  }
}

/** List an object's names: required ones first, then the smallest. */
function inOrder(value: JsonObject): string[] {
  const rank = new Map(Object.keys(value).map((name) => [name, FIRST.indexOf(name)]));
  const sizes = new Map(Object.entries(value).map(([name, member]) => [name, sizeOf(member)]));
  const place = (name: string): number => {
    const first = rank.get(name) ?? -1;
    return first === -1 ? FIRST.length + (sizes.get(name) ?? 0) : first;
  };
  return Object.keys(value).sort((a, b) => place(a) - place(b));
}
