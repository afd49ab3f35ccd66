/** A patch that the server would refuse as too large, as several. */

import { isEmpty, isObject } from "./mergepatch";
import type { JsonObject } from "./types";

/** Bytes of a patch beside its members, at most. */
const FRAME = '{"nodes":{},"edges":{}}'.length;

/** Tell how many bytes a value takes as the server counts: JSON without white space. */
export function sizeOf(value: unknown): number {
  return new TextEncoder().encode(JSON.stringify(value)).length;
}

/**
 * Part a patch of a flow's document into some that do the same one after the other, each no larger than
 * `maxBytes` where its members allow that.
 *
 * What is made comes before what leads to it, and what leads away from a node before that is deleted: so
 * nodes first, parents before their children, then edges, then what goes.
 */
export function split(patch: JsonObject, maxBytes: number): JsonObject[] {
  const { nodes, edges, ...rest } = patch;
  const parts = new Parts(maxBytes);
  if (!isEmpty(rest)) {
    parts.begin(rest);
  }
  const ofNodes = isObject(nodes) ? nodes : {};
  for (const [id, value] of parentsFirst(ofNodes)) {
    parts.add("nodes", id, value);
  }
  for (const [id, value] of Object.entries(isObject(edges) ? edges : {})) {
    parts.add("edges", id, value);
  }
  for (const [id, value] of Object.entries(ofNodes)) {
    if (value === null) {
      parts.add("nodes", id, null);
    }
  }
  return parts.all;
}

class Parts {
  readonly all: JsonObject[] = [];
  readonly #maxBytes: number;
  #size = Infinity;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  begin(part: JsonObject): void {
    this.all.push(part);
    this.#size = sizeOf(part) + FRAME;
  }

  add(kind: "nodes" | "edges", id: string, value: unknown): void {
    const size = sizeOf({ [id]: value });
    if (this.#size + size > this.#maxBytes) {
      this.begin({});
    }
    this.#size += size;
    const last = this.all.at(-1) ?? {};
    const members = isObject(last[kind]) ? last[kind] : {};
    members[id] = value;
    last[kind] = members;
  }
}

/** List what of a patch makes or changes nodes, each behind its parent. */
function parentsFirst(nodes: JsonObject): [string, JsonObject][] {
  const listed = new Map<string, JsonObject>();
  const list = (id: string, under: ReadonlySet<string>): void => {
    const node = Object.hasOwn(nodes, id) ? nodes[id] : undefined;
    if (!isObject(node) || listed.has(id) || under.has(id)) {
      return;
    }
    const { parentId } = node;
    if (typeof parentId === "string") {
      list(parentId, new Set([...under, id]));
    }
    listed.set(id, node);
  };
  for (const id of Object.keys(nodes)) {
    list(id, new Set());
  }
  return [...listed];
}
