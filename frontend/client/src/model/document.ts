/**
 * A flow's document, and the effect of a patch on it.
 *
 * The rules are the server's (`helix/documents/document.py`, docs/spec.md DOC1 to DOC6, GRP), so that the document shown
 * before the server's answer is the one after it.
 */

import type { FlowDocument, JsonObject } from "../types.js";
import { fresh, isEmpty, isObject, merge, mergeObjects, minimal, own } from "./mergepatch.js";
import { isConcerned, nest } from "./nesting.js";
import { FORBIDDEN } from "./telling.js";

/** Make the empty document that every log starts from. */
export function emptyDocument(): FlowDocument {
  return {
    title: "",
    description: "",
    viewport: { x: 0, y: 0, zoom: 1 },
    data: {},
    nodes: {},
    edges: {},
  };
}

/**
 * Reduce a patch to its effect on a document; `{}` if it has none.
 *
 * Partial values for missing nodes and edges are dropped, and so are values that would lead an edge to a
 * missing node. Deleting a node deletes its edges. Parents are kept valid (`nest`).
 *
 * @throws TypeError if the result would not be a document.
 */
export function stage(document: FlowDocument, patch: JsonObject): JsonObject {
  const { nodes: nodePatch, edges: edgePatch, ...rest } = patch;
  const effective = minimal(document, rest);
  const givenNodes = objectOrNothing(nodePatch, "nodes");
  const nodes = stageNodes(document, givenNodes);
  if (isConcerned(document.nodes, givenNodes)) {
    nest(document.nodes, givenNodes, nodes);
  }
  const edges = stageEdges(document, objectOrNothing(edgePatch, "edges"), nodes);
  if (!isEmpty(nodes)) {
    effective["nodes"] = nodes;
  }
  if (!isEmpty(edges)) {
    effective["edges"] = edges;
  }
  checkShape(document, effective);
  return effective;
}

/** Apply an effective patch. Nodes and edges stay in the order of their ids, by code points. */
export function apply(document: FlowDocument, effective: JsonObject): FlowDocument {
  const applied = mergeObjects(document, effective);
  const nodes = hasNews(document.nodes, effective["nodes"]) ? inOrder(applied.nodes) : applied.nodes;
  const edges = hasNews(document.edges, effective["edges"]) ? inOrder(applied.edges) : applied.edges;
  return nodes === applied.nodes && edges === applied.edges ? applied : { ...applied, nodes, edges };
}

/** Tell whether a patch creates members. */
function hasNews(before: JsonObject, patch: unknown): boolean {
  return membersOf(patch).some(([id, change]) => change !== null && !Object.hasOwn(before, id));
}

/** Sort members by id: needed only if some were created. */
export function inOrder<T>(members: Record<string, T>): Record<string, T> {
  const ids = Object.keys(members);
  const isSorted = ids.every((id, n) => n === 0 || compareIds(ids[n - 1] ?? "", id) < 0);
  return isSorted
    ? members
    : Object.fromEntries(ids.sort(compareIds).map((id) => [id, own(members, id) as T]));
}

/** Compare two ids by their code points, as the server does; JavaScript compares UTF-16 code units. */
export function compareIds(a: string, b: string): number {
  if (a === b) {
    return 0;
  }
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at < length && a.charCodeAt(at) === b.charCodeAt(at)) {
    at += 1;
  }
  if (at === length) {
    return a.length - b.length;
  }
  return rank(a.charCodeAt(at)) - rank(b.charCodeAt(at));
}

/** Rank surrogates above all other code units. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
}

function objectOrNothing(value: unknown, name: string): JsonObject {
  if (value === undefined) {
    return {};
  }
  if (!isObject(value)) {
    throw new TypeError(`${name} must be an object`);
  }
  return value;
}

function stageNodes(document: FlowDocument, patch: JsonObject): JsonObject {
  const staged: JsonObject = {};
  for (const [id, value] of Object.entries(patch)) {
    const node = own(document.nodes, id);
    const change = stageMember(node, value);
    if (change !== undefined) {
      staged[id] = change;
    }
  }
  return staged;
}

/** Give the effective part of a member's value; `undefined` if there is none. */
function stageMember(member: JsonObject | undefined, value: unknown): unknown {
  if (value === null) {
    return member === undefined ? undefined : null;
  }
  if (!isObject(value)) {
    throw new TypeError("A node or an edge must be an object");
  }
  if (member === undefined) {
    return Object.hasOwn(value, "id") ? fresh(value) : undefined;
  }
  const change = minimal(member, value);
  return isEmpty(change) ? undefined : change;
}

function stageEdges(document: FlowDocument, patch: JsonObject, nodes: JsonObject): JsonObject {
  const staged: JsonObject = {};
  for (const [id, value] of Object.entries(patch)) {
    const edge = own(document.edges, id);
    if (isObject(value) && !isConnected(document, edge ?? {}, value, nodes)) {
      continue;
    }
    const change = stageMember(edge, value);
    if (change !== undefined) {
      staged[id] = change;
    }
  }
  if (Object.values(nodes).includes(null)) {
    stageEdgesOfDeleted(document, staged, nodes);
  }
  return staged;
}

/** Delete the edges of deleted nodes, except those that are reconnected. */
function stageEdgesOfDeleted(document: FlowDocument, staged: JsonObject, nodes: JsonObject): void {
  for (const [id, edge] of Object.entries(document.edges)) {
    const goes = own(nodes, edge.source) === null || own(nodes, edge.target) === null;
    const led = own(staged, id);
    if (goes && !isConnected(document, edge, isObject(led) ? led : {}, nodes)) {
      staged[id] = null;
    }
  }
}

/** Tell whether both ends of a changed edge exist among the changed nodes. */
function isConnected(
  document: FlowDocument,
  edge: JsonObject,
  change: JsonObject,
  nodes: JsonObject,
): boolean {
  return ["source", "target"].every((end) => {
    const id = own(change, end) ?? own(edge, end);
    if (typeof id !== "string") {
      return false;
    }
    return Object.hasOwn(nodes, id) ? nodes[id] !== null : Object.hasOwn(document.nodes, id);
  });
}

/** Refuse what would break pages that show the document. The server refuses more. */
function checkShape(document: FlowDocument, effective: JsonObject): void {
  const { nodes, edges, ...rest } = effective;
  for (const [name, change] of Object.entries(rest)) {
    const value = change === null ? undefined : merge(own(document, name), change);
    if (!Object.hasOwn(SHAPES, name) || !SHAPES[name]?.(value)) {
      throw new TypeError(`${name} can't be that`);
    }
  }
  for (const [id, change] of membersOf(nodes)) {
    if (change !== null && !isNode(id, merge(own(document.nodes, id), change))) {
      throw new TypeError(`nodes/${id} is no node`);
    }
  }
  for (const [id, change] of membersOf(edges)) {
    if (change !== null && !isEdge(id, merge(own(document.edges, id), change))) {
      throw new TypeError(`edges/${id} is no edge`);
    }
  }
}

/** List the nodes or the edges that a patch changes. */
export function membersOf(patch: unknown): [id: string, change: unknown][] {
  return isObject(patch) ? Object.entries(patch) : [];
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}

function isPoint(value: unknown): boolean {
  return isObject(value) && typeof value["x"] === "number" && typeof value["y"] === "number";
}

const SHAPES: Record<string, (value: unknown) => boolean> = {
  title: isText,
  description: isText,
  viewport: (value) => isPoint(value) && typeof (value as JsonObject)["zoom"] === "number",
  data: isObject,
};

/** Tell whether a value has everything that is needed to show and edit a document. */
export function isDocument(value: unknown): value is FlowDocument {
  return (
    isObject(value) &&
    Object.entries(SHAPES).every(([name, isOne]) => isOne(own(value, name))) &&
    areMembers(value["nodes"], isNode) &&
    areMembers(value["edges"], isEdge)
  );
}

function areMembers(value: unknown, isOne: (id: string, member: unknown) => boolean): boolean {
  return isObject(value) && Object.entries(value).every(([id, member]) => !FORBIDDEN.has(id) && isOne(id, member));
}

function isEdge(id: string, value: unknown): boolean {
  return isObject(value) && value["id"] === id && isText(value["source"]) && isText(value["target"]);
}

function isNode(id: string, value: unknown): boolean {
  return (
    isObject(value) &&
    value["id"] === id &&
    isPoint(value["position"]) &&
    isObject(value["data"]) &&
    (value["type"] === undefined || isText(value["type"])) &&
    (value["parentId"] === undefined || isText(value["parentId"]))
  );
}
