/** What is connected with what: the ids of edges that are made by connecting, and what leads one elsewhere. */

import { sha256 } from "@noble/hashes/sha2.js";

import type { FlowDocument, FlowEdge, JsonObject } from "../types.js";
import { digits } from "./ids.js";
import { without } from "./nesting.js";

/** What an edge joins, as React Flow's `Connection` has it; `null` and `""` are no handle. */
export interface Ends {
  source: string;
  target: string;
  sourceHandle?: string | null;
  targetHandle?: string | null;
}

type Edges = FlowDocument["edges"];

/** Bytes of an id, at most. */
const MAX_ID_BYTES = 255;

/** Of how many ids of the same ends an edge's is looked for: more are never made by hand. */
const MANY = 64;

/** Write what an edge joins so that no two connections are written alike. */
function written({ source, sourceHandle, target, targetHandle }: Ends): string {
  return [source, sourceHandle, target, targetHandle]
    .map((part) => textOf(part).replaceAll(/[\\:]/g, (character) => `\\${character}`))
    .join(":");
}

function textOf(handle: unknown): string {
  return typeof handle === "string" ? handle : "";
}

/** Tell what an edge joins; other programs write anything. */
function endsOf(edge: FlowEdge): Ends {
  const { source, target, sourceHandle, targetHandle } = edge;
  return { source, target, sourceHandle: textOf(sourceHandle), targetHandle: textOf(targetHandle) };
}

/**
 * Give the id of an edge that is made by connecting: everybody gives the same to the same connection,
 * and no two connections share one.
 *
 * @param count which of the ids that it may have.
 * @returns at most 255 bytes; a digest where the ids of the ends are long.
 */
export function connectionId(ends: Ends, count = 1): string {
  const text = `${written(ends)}${count === 1 ? "" : `:${count}`}`;
  const id = `edge:${text}`;
  const bytes = new TextEncoder().encode(id);
  return bytes.length <= MAX_ID_BYTES ? id : `edge#${digits(sha256(bytes))}`;
}

/** Give the first id of a connection that no edge has. */
function freeId(edges: Edges, ends: Ends, isTaken: (id: string) => boolean): string {
  for (let count = 1; ; count += 1) {
    const id = connectionId(ends, count);
    if (!Object.hasOwn(edges, id) && !isTaken(id)) {
      return id;
    }
  }
}

/**
 * Give a patch that connects nodes. What is connected already stays as it is.
 *
 * An edge's id follows from its ends, so that the same connection, made by two people at once, is one
 * edge. Where an edge that leads elsewhere by now has that id, the next one that follows is taken.
 *
 * @param rest what the edges have besides.
 */
export function connecting(edges: Edges, connections: readonly Ends[], rest: JsonObject = {}): JsonObject {
  const known = new Set(Object.values(edges).map((edge) => written(endsOf(edge))));
  const added: JsonObject = {};
  for (const connection of connections) {
    const text = written(connection);
    if (!known.has(text)) {
      known.add(text);
      const id = freeId(edges, connection, (one) => Object.hasOwn(added, one));
      added[id] = { ...rest, ...made(id, connection) };
    }
  }
  return { edges: added };
}

/** Make an edge's own members; a handle that isn't there isn't said. */
function made(id: string, { source, target, sourceHandle, targetHandle }: Ends): JsonObject {
  return {
    id,
    source,
    target,
    ...(textOf(sourceHandle) === "" ? {} : { sourceHandle }),
    ...(textOf(targetHandle) === "" ? {} : { targetHandle }),
  };
}

/** Tell whether an edge's id follows from what it joins. */
function isDerived(edge: FlowEdge): boolean {
  if (!edge.id.startsWith("edge")) {
    return false;
  }
  const ends = endsOf(edge);
  for (let count = 1; count <= MANY; count += 1) {
    if (connectionId(ends, count) === edge.id) {
      return true;
    }
  }
  return false;
}

/**
 * Give a patch that leads an edge elsewhere, and the id that it has then.
 *
 * An edge whose id follows from its ends gets the one of its new ends: whoever connects the old ones at
 * the same time makes an edge of their own, and neither takes the other's.
 *
 * @returns `null` where there is no such edge, or it leads there already.
 */
export function reconnecting(edges: Edges, edgeId: string, ends: Ends): { id: string; patch: JsonObject } | null {
  const edge = Object.hasOwn(edges, edgeId) ? edges[edgeId] : undefined;
  if (edge === undefined || written(endsOf(edge)) === written(ends)) {
    return null;
  }
  if (!isDerived(edge)) {
    const change = { sourceHandle: null, targetHandle: null, ...made(edgeId, ends) };
    return { id: edgeId, patch: { edges: { [edgeId]: change } } };
  }
  const id = freeId(edges, ends, () => false);
  const led = { ...without(edge, "sourceHandle", "targetHandle"), ...made(id, ends) };
  return { id, patch: { edges: { [edgeId]: null, [id]: led } } };
}
