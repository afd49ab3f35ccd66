/** Parts of flows, as patches: new nodes, copies, and pasted parts. Pure functions. */

import { type FlowDocument, type FlowEdge, type FlowNode, isPoint, type JsonObject, own, type Point } from "helix-flows";

import { type Box, frameOf, NODE_SIZE, sizeOf } from "../../drawing";
import { kindOf, textOf } from "../../kinds";
import { relinked } from "../../links";
import { inOrder, levelOf, MAX_LEVEL, nestingOf, type Place, placesIn, withInside } from "../../nesting";
import { randomId } from "../../person";
import { levelAbove } from "./levels";
import { isObject } from "./values";

/** The mark of our data in the clipboard. */
const FORMAT = "helix-flow-part";

/** Nodes, and the edges between them. */
export interface Part {
  nodes: FlowNode[];
  edges: FlowEdge[];
}

/** A patch that adds something, and the ids of the nodes that it adds. */
export interface Addition {
  patch: JsonObject;
  ids: string[];
}

/** Make a node of a kind, at a place on the canvas, in a parent if one is given. */
export function newNode(document: FlowDocument | null, type: string, { x, y, parent }: Point & { parent?: string | undefined }): Addition {
  const id = randomId();
  const rounded = { x: Math.round(x), y: Math.round(y) };
  const level = levelAbove(document, [{ ...rounded, ...NODE_SIZE }]);
  const around = parent === undefined || document === null ? undefined : placesIn(document).get(parent);
  const where = around === undefined ? { position: rounded } : { position: { x: rounded.x - around.x, y: rounded.y - around.y }, parentId: parent };
  const node = { id, type, ...where, data: { label: kindOf(type).name }, ...(level === 0 ? {} : { zIndex: level }) };
  return { patch: { nodes: { [id]: node as JsonObject } }, ids: [id] };
}

/**
 * Extract nodes from a document, with their contents and all edges between them.
 *
 * @param isWhole whether nodes lose parents that aren't part of it, and get their place on the canvas.
 */
export function partOf(document: FlowDocument, ids: readonly string[], isWhole: boolean): Part {
  const places = placesIn(document);
  const all = withInside(ids, places);
  const taken = (id: string, { x, y, parent }: Place): FlowNode => {
    const node = own(document.nodes, id) as FlowNode;
    const isAlone = isWhole && parent !== undefined && !all.has(parent);
    return isAlone ? ({ ...withoutParent(node), position: { x, y } } as FlowNode) : node;
  };
  return {
    nodes: [...places].filter(([id]) => all.has(id)).map(([id, place]) => taken(id, place)),
    edges: inOrder(document.edges).filter(({ source, target }) => all.has(source) && all.has(target)),
  };
}

/** Copy a node without its binding to a parent. */
function withoutParent(node: FlowNode): JsonObject {
  const isBinding = (name: string, value: unknown): boolean => name === "parentId" || name === "expandParent" || (name === "extent" && value === "parent");
  return Object.fromEntries(Object.entries(node).filter(([name, value]) => !isBinding(name, value)));
}

/** Write a part for the clipboard. */
export function writePart(part: Part): string {
  return JSON.stringify({ format: FORMAT, ...part });
}

/** Read what `writePart` wrote; `null` for anything else. */
export function readPart(text: string): Part | null {
  try {
    const { format, nodes, edges } = JSON.parse(text) as Partial<Part> & { format?: string };
    return format === FORMAT && Array.isArray(nodes) && nodes.every(isNode) && Array.isArray(edges) && edges.every(isObject) ? { nodes, edges } : null;
  } catch {
    return null;
  }
}

function isNode(node: unknown): boolean {
  const { id, position, data } = isObject(node) ? node : {};
  return typeof id === "string" && isPoint(position) && isObject(data);
}

/**
 * Add a copy of a part to a document, moved by `by`, above what would hide it. A node inside a node of the document
 * stays inside it as a copy.
 */
export function copyOf(document: FlowDocument | null, part: Part, by: Point): Addition {
  const around = document === null ? new Map<string, Place>() : placesIn(document);
  const places = nestingOf(part.nodes);
  const ids = new Map(part.nodes.map(({ id }) => [id, randomId()]));
  const outer = part.nodes.filter(({ id }) => places.get(id)?.parent === undefined);
  const above = levelAbove(document, boxesIn(part, by, around));
  const rise = Math.max(0, above - outer.reduce((lowest, node) => Math.min(lowest, levelOf(node["zIndex"])), MAX_LEVEL));
  const nodes = part.nodes.map((node) => {
    const inside = places.get(node.id)?.parent;
    const isLoose = inside === undefined && !around.has(textOf(node["parentId"]));
    const level = levelOf(node["zIndex"]) + rise;
    return {
      ...(isLoose ? withoutParent(node) : node),
      id: ids.get(node.id) as string,
      data: relinked(node.data, ids),
      ...(inside === undefined ? { position: { x: node.position.x + by.x, y: node.position.y + by.y } } : { parentId: ids.get(inside) }),
      ...(level !== 0 && (inside === undefined || node["zIndex"] !== undefined) ? { zIndex: level } : {}),
    };
  });
  const edges = part.edges
    .filter(({ source, target }) => ids.has(source) && ids.has(target))
    .map((edge) => ({ ...edge, id: randomId(), source: ids.get(edge.source), target: ids.get(edge.target) }));
  return {
    patch: {
      nodes: Object.fromEntries(nodes.map((node) => [node.id, node])),
      edges: Object.fromEntries(edges.map((edge) => [edge.id, edge])),
    },
    ids: outer.map(({ id }) => ids.get(id) as string),
  };
}

/** Give the boxes of a part on the canvas. */
function boxesIn(part: Part, by: Point, around: ReadonlyMap<string, Place>): Box[] {
  const byId = new Map(part.nodes.map((node) => [node.id, node]));
  const origins = new Map<string, Point>();
  return [...nestingOf(part.nodes)].map(([id, { x, y, parent }]) => {
    const node = byId.get(id) as FlowNode;
    const origin = (parent === undefined ? around.get(textOf(node["parentId"])) : origins.get(parent)) ?? { x: 0, y: 0 };
    origins.set(id, origin);
    return { x: x + origin.x + by.x, y: y + origin.y + by.y, ...sizeOf(node) };
  });
}

/** List the current places of a part's nodes, on the canvas of the document that it is copied into. */
export function cornersOf(document: FlowDocument | null, part: Part): Point[] {
  return boxesIn(part, { x: 0, y: 0 }, document === null ? new Map() : placesIn(document));
}

/** Give the box around a part on its own. */
export function frameOfPart(part: Part): Box {
  return frameOf(new Map(boxesIn(part, { x: 0, y: 0 }, new Map()).map((box, n) => [String(n), box])), 0);
}

/** Give the middle of a part. */
export function middleOf(part: Part): Point {
  const { x, y, width, height } = frameOfPart(part);
  return { x: x + width / 2, y: y + height / 2 };
}
