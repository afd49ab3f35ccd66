/** Connecting and reconnecting: the patches for edges, and the ids of new edges. */

import { sha256 } from "@noble/hashes/sha2.js";

import type { FlowDocument, FlowEdge, JsonObject } from "../types.js";
import { digits } from "./ids.js";
import { without } from "./nesting.js";

/** The ends of an edge, as in React Flow's `Connection`; `null` and `""` mean no handle. */
export interface Ends {
  source: string;
  target: string;
  sourceHandle?: string | null;
  targetHandle?: string | null;
}

type Edges = FlowDocument["edges"];

/** The longest id, in bytes. */
const MAX_ID_BYTES = 255;

/** How many ids of the same ends are tried: more edges are never made by hand. */
const MANY = 64;

/** Write an edge's ends, so that no two connections are written alike. */
function written({ source, sourceHandle, target, targetHandle }: Ends): string {
  return [source, sourceHandle, target, targetHandle]
    .map((part) => textOf(part).replaceAll(/[\\:]/g, (character) => `\\${character}`))
    .join(":");
}

function textOf(handle: unknown): string {
  return typeof handle === "string" ? handle : "";
}

/** Read an edge's ends; other programs may write anything. */
function endsOf(edge: FlowEdge): Ends {
  const { source, target, sourceHandle, targetHandle } = edge;
  return { source, target, sourceHandle: textOf(sourceHandle), targetHandle: textOf(targetHandle) };
}

/**
 * Give the id of an edge that is made by connecting: the same for everybody who makes this connection,
 * and different for every other connection.
 *
 * @param count which of its possible ids.
 * @returns at most 255 bytes; a digest where the ids of the ends are long.
 */
export function connectionId(ends: Ends, count = 1): string {
  const text = `${written(ends)}${count === 1 ? "" : `:${count}`}`;
  const id = `edge:${text}`;
  const bytes = new TextEncoder().encode(id);
  return bytes.length <= MAX_ID_BYTES ? id : `edge#${digits(sha256(bytes))}`;
}

/** Give a connection's first id that no edge has. */
function freeId(edges: Edges, ends: Ends, isTaken: (id: string) => boolean): string {
  for (let count = 1; ; count += 1) {
    const id = connectionId(ends, count);
    if (!Object.hasOwn(edges, id) && !isTaken(id)) {
      return id;
    }
  }
}

/**
 * Give a patch that connects nodes. Existing connections stay as they are.
 *
 * An edge's id follows from its ends, so that two people who make the same connection at once make one
 * edge. If another edge with other ends has that id by now, the next id is used.
 *
 * @param rest other members of the edges.
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

/** Make an edge's members, without handles that it doesn't have. */
function made(id: string, { source, target, sourceHandle, targetHandle }: Ends): JsonObject {
  return {
    id,
    source,
    target,
    ...(textOf(sourceHandle) === "" ? {} : { sourceHandle }),
    ...(textOf(targetHandle) === "" ? {} : { targetHandle }),
  };
}

/** Tell whether an edge's id follows from its ends. */
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
 * Give a patch that reconnects an edge, and the edge's id afterwards.
 *
 * An edge whose id follows from its ends gets the id of its new ends. Somebody who connects the old ends at
 * the same time makes another edge, and neither overwrites the other.
 *
 * @returns `null` if there is no such edge, or it has these ends already.
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
