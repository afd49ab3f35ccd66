/** Parts of flows, as patches: new nodes, copies, and what comes from the clipboard. Pure functions. */

import type { FlowDocument, FlowEdge, FlowNode, JsonObject, Point } from "helix-flows";

import { kindOf } from "../kinds";
import { randomId } from "../person";

/** What the clipboard holds begins with. */
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

/** Make a node of a kind. */
export function newNode(type: string, position: Point): Addition {
  const id = randomId();
  const rounded = { x: Math.round(position.x), y: Math.round(position.y) };
  const node = { id, type, position: rounded, data: { label: kindOf(type).name } };
  return { patch: { nodes: { [id]: node } }, ids: [id] };
}

/** Make an edge. */
export function newEdge(source: string, target: string): JsonObject {
  const id = randomId();
  return { edges: { [id]: { id, source, target } } };
}

/** Take nodes out of a document, with all edges between them. */
export function partOf(document: FlowDocument, ids: ReadonlySet<string>): Part {
  return {
    nodes: Object.values(document.nodes).filter(({ id }) => ids.has(id)),
    edges: Object.values(document.edges).filter(({ source, target }) => ids.has(source) && ids.has(target)),
  };
}

/** Write a part for the clipboard. */
export function writePart(part: Part): string {
  return JSON.stringify({ format: FORMAT, ...part });
}

/** Read what `writePart` wrote; `null` where it is anything else. */
export function readPart(text: string): Part | null {
  try {
    const { format, nodes, edges } = JSON.parse(text) as Partial<Part> & { format?: string };
    return format === FORMAT && Array.isArray(nodes) && Array.isArray(edges) ? { nodes, edges } : null;
  } catch {
    return null;
  }
}

/** Add a copy of a part, all of it moved by `by`. */
export function copyOf(part: Part, by: Point): Addition {
  const ids = new Map(part.nodes.map(({ id }) => [id, randomId()]));
  const nodes = part.nodes.map((node) => {
    const parentId = ids.get(node["parentId"] as string);
    const isInside = parentId !== undefined;
    const rest = Object.entries(node).filter(([name]) => name !== "parentId");
    return {
      ...Object.fromEntries(rest),
      ...(isInside ? { parentId } : {}),
      id: ids.get(node.id) as string,
      position: isInside ? node.position : { x: node.position.x + by.x, y: node.position.y + by.y },
    };
  });
  const edges = part.edges.map((edge) => ({
    ...edge,
    id: randomId(),
    source: ids.get(edge.source) as string,
    target: ids.get(edge.target) as string,
  }));
  return {
    patch: {
      nodes: Object.fromEntries(nodes.map((node) => [node.id, node])),
      edges: Object.fromEntries(edges.map((edge) => [edge.id, edge])),
    },
    ids: [...ids.values()],
  };
}

/** Give the middle of a part, to put it somewhere. */
export function middleOf(part: Part): Point {
  const xs = part.nodes.map(({ position }) => position.x);
  const ys = part.nodes.map(({ position }) => position.y);
  return {
    x: (Math.min(...xs) + Math.max(...xs)) / 2,
    y: (Math.min(...ys) + Math.max(...ys)) / 2,
  };
}
