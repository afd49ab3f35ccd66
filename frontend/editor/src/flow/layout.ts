/** Arranges a flow from left to right. Loaded when it is first wanted. */

import dagre from "@dagrejs/dagre";
import type { FlowDocument, JsonObject } from "helix-flows";

import { boxesOf, NODE_SIZE } from "../drawing";
import { placesIn } from "../nesting";

const GAP = { nodesep: 40, ranksep: 96 };

/** Give a patch that moves the nodes, those that lie in no other, to where they stand in order. */
export function layoutPatch(document: FlowDocument): JsonObject {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "LR", ...GAP });
  graph.setDefaultEdgeLabel(() => ({}));
  const boxes = boxesOf(document);
  /** The node itself, or the outermost one that it lies in. */
  const around = new Map<string, string>();
  for (const [id, { parent }] of placesIn(document)) {
    around.set(id, around.get(parent ?? "") ?? id);
    if (parent === undefined) {
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
  const nodes = graph.nodes().map((id) => {
    const { x, y, width, height } = graph.node(id) as { x: number; y: number; width: number; height: number };
    return [id, { position: { x: Math.round(x - width / 2), y: Math.round(y - height / 2) }, parentId: null }] as const;
  });
  return { nodes: Object.fromEntries(nodes) };
}
