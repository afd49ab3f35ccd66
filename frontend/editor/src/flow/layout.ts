/** Arranges a flow from left to right. Loaded when it is first wanted. */

import dagre from "@dagrejs/dagre";
import type { FlowDocument, JsonObject } from "helix-flows";

import { boxesOf } from "../drawing";

const GAP = { nodesep: 40, ranksep: 96 };

/** Give a patch that moves the nodes, those without a parent, to where they stand in order. */
export function layoutPatch(document: FlowDocument): JsonObject {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "LR", ...GAP });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const [id, { width, height }] of boxesOf(document)) {
    if (document.nodes[id]?.["parentId"] === undefined) {
      graph.setNode(id, { width, height });
    }
  }
  for (const { source, target } of Object.values(document.edges)) {
    if (graph.hasNode(source) && graph.hasNode(target)) {
      graph.setEdge(source, target);
    }
  }
  dagre.layout(graph);
  const nodes = graph.nodes().map((id) => {
    const { x, y, width, height } = graph.node(id) as { x: number; y: number; width: number; height: number };
    return [id, { position: { x: Math.round(x - width / 2), y: Math.round(y - height / 2) } }] as const;
  });
  return { nodes: Object.fromEntries(nodes) };
}
