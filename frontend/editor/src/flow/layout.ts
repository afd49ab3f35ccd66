/** Arranges a flow from left to right. Loaded when it is first wanted. */

import dagre from "@dagrejs/dagre";
import type { FlowDocument, JsonObject, Point } from "helix-flows";

import { type Box, boxesOf, frameOf, NODE_SIZE } from "../drawing";
import { outermost, placesIn } from "../nesting";

const GAP = { nodesep: 40, ranksep: 96 };

/**
 * Give a patch that moves nodes to where they stand in order, with what lies in them.
 *
 * @param ids which, where not all that lie in no other: they stay about where they are.
 */
export function layoutPatch(document: FlowDocument, ids?: readonly string[]): JsonObject {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "LR", ...GAP });
  graph.setDefaultEdgeLabel(() => ({}));
  const boxes = boxesOf(document);
  const places = placesIn(document);
  const arranged = new Set(ids === undefined ? [...places].flatMap(([id, { parent }]) => (parent === undefined ? [id] : [])) : outermost(ids, places));
  /** The node itself, or the one of those that are arranged that it lies in. */
  const around = new Map<string, string>();
  for (const [id, { parent }] of places) {
    const arrangedWith = arranged.has(id) ? id : around.get(parent ?? "");
    if (arrangedWith !== undefined) {
      around.set(id, arrangedWith);
    }
    if (arranged.has(id)) {
      const { width, height } = boxes.get(id) ?? NODE_SIZE;
      graph.setNode(id, { width, height });
    }
  }
  for (const edge of Object.values(document.edges)) {
    const [source, target] = [around.get(edge.source), around.get(edge.target)];
    if (source !== undefined && target !== undefined && source !== target) {
      graph.setEdge(source, target);
    }
  }
  dagre.layout(graph);
  const before = frameOf(new Map([...arranged].map((id) => [id, boxes.get(id) as Box])), 0);
  const start: Point = ids === undefined ? { x: 0, y: 0 } : before;
  const nodes = graph.nodes().map((id) => {
    const { x, y, width, height } = graph.node(id) as { x: number; y: number; width: number; height: number };
    const parent = places.get(id)?.parent;
    const { x: left, y: top } = places.get(parent ?? "") ?? { x: 0, y: 0 };
    const position = { x: Math.round(start.x + x - width / 2 - left), y: Math.round(start.y + y - height / 2 - top) };
    return [id, { position, parentId: parent ?? null }] as const;
  });
  return { nodes: Object.fromEntries(nodes) };
}

/** Give a patch that moves nodes back to where they were, but for those that somebody has moved since, or deleted. */
export function arrangedBack(before: FlowDocument, arranged: JsonObject, now: FlowDocument | null): JsonObject {
  const moved = Object.entries(arranged["nodes"] as Record<string, { position: Point; parentId: string | null }>);
  const nodes = moved.flatMap(([id, { position, parentId }]) => {
    const [old, node] = [before.nodes[id], now?.nodes[id]];
    const isThere = node?.position.x === position.x && node.position.y === position.y && (node["parentId"] ?? null) === parentId;
    return isThere && old !== undefined ? [[id, { position: old.position, parentId }] as const] : [];
  });
  return { nodes: Object.fromEntries(nodes) };
}
