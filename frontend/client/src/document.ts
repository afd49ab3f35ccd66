/**
 * A flow's document: what a patch really does to it.
 *
 * The rules are the server's (`helix/document.py`, docs/spec.md DOC1 to DOC6), so that what is shown
 * before the server has answered is what it will be.
 */

import { diff, fresh, isEmpty, isObject, mergeObjects, minimal, own } from "./mergepatch";
import type { FlowDocument, FlowEdge, FlowNode, JsonObject } from "./types";

/** Make the document that every log starts from. */
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
 * Reduce a patch to what it changes in a document; `{}` where that is nothing.
 *
 * Values for absent nodes and edges that don't create them are dropped, and so are those that would
 * lead an edge to a missing node; with a node go its edges.
 *
 * @throws TypeError where the document would be none afterwards.
 */
export function stage(document: FlowDocument, patch: JsonObject): JsonObject {
  const { nodes: nodePatch, edges: edgePatch, ...rest } = patch;
  const effective = minimal(document, rest);
  const nodes = stageNodes(document, objectOrNothing(nodePatch, "nodes"));
  const edges = stageEdges(document, objectOrNothing(edgePatch, "edges"), nodes);
  if (!isEmpty(nodes)) {
    effective["nodes"] = nodes;
  }
  if (!isEmpty(edges)) {
    effective["edges"] = edges;
  }
  checkShape(apply(document, effective), effective);
  return effective;
}

/** Apply an effective patch. */
export function apply(document: FlowDocument, effective: JsonObject): FlowDocument {
  return mergeObjects(document, effective);
}

/** Make the patch that turns one document into another. */
export function difference(from: FlowDocument, to: FlowDocument): JsonObject {
  return diff(from, to);
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
    const node = own(document.nodes, id) as FlowNode | undefined;
    const change = stageMember(node, value);
    if (change !== undefined) {
      staged[id] = change;
    }
  }
  return staged;
}

/** Give what is left of a member's value; `undefined` where it does nothing. */
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
    const edge = own(document.edges, id) as FlowEdge | undefined;
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

/** Delete the edges of the nodes that go, except those that are led elsewhere. */
function stageEdgesOfDeleted(document: FlowDocument, staged: JsonObject, nodes: JsonObject): void {
  for (const [id, edge] of Object.entries(document.edges)) {
    const goes = own(nodes, edge.source) === null || own(nodes, edge.target) === null;
    const led = own(staged, id);
    if (goes && !isConnected(document, edge, isObject(led) ? led : {}, nodes)) {
      staged[id] = null;
    }
  }
}

/** Tell whether an edge, once changed, leads from a node to a node of the changed nodes. */
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

/** Refuse what would break those who show the document. The server refuses more. */
function checkShape(document: FlowDocument, effective: JsonObject): void {
  for (const name of Object.keys(effective)) {
    if (!Object.hasOwn(SHAPES, name) || !SHAPES[name]?.(own(document, name))) {
      throw new TypeError(`${name} can't be that`);
    }
  }
  for (const id of changed(effective["nodes"])) {
    const node = own(document.nodes, id);
    if (node !== undefined && !isNode(id, node)) {
      throw new TypeError(`nodes/${id} is no node`);
    }
  }
  for (const id of changed(effective["edges"])) {
    const edge = own(document.edges, id);
    if (edge !== undefined && !(isObject(edge) && edge["id"] === id)) {
      throw new TypeError(`edges/${id} is no edge`);
    }
  }
}

function changed(patch: unknown): string[] {
  return isObject(patch) ? Object.keys(patch) : [];
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
  nodes: isObject,
  edges: isObject,
};

function isNode(id: string, value: unknown): boolean {
  return (
    isObject(value) &&
    value["id"] === id &&
    isPoint(value["position"]) &&
    isObject(value["data"]) &&
    (value["type"] === undefined || isText(value["type"]))
  );
}
