/** What React Flow is given of a flow's nodes and edges: with names for those who can't see them. */

import { type Edge, MarkerType, type Node } from "@xyflow/react";
import type { FlowDocument } from "helix-flows";

import { KINDS, kindOf, labelOf, textOf } from "../kinds";
import { FlowNode } from "./FlowNode";

/** One look for all; React Flow shows `default` for types that it doesn't know. */
export const nodeTypes = Object.fromEntries(["default", ...KINDS.map(({ type }) => type)].map((type) => [type, FlowNode]));

export const defaultEdgeOptions = { markerEnd: { type: MarkerType.ArrowClosed, width: 16, height: 16 } };

const named = new WeakMap<Node | Edge, unknown>();

function once<T extends Node | Edge>(element: T, make: () => T): T {
  const made = (named.get(element) as T | undefined) ?? make();
  named.set(element, made);
  return made;
}

/** Name nodes. One that hasn't changed is the very same object as before. */
export function namedNodes(nodes: readonly Node[]): Node[] {
  return nodes.map((node) =>
    once(node, () => ({ ...node, ariaLabel: `${kindOf(node.type).name}: ${labelOf(node)}` })),
  );
}

/** Name edges, after the nodes that they join. */
export function namedEdges(edges: readonly Edge[], document: FlowDocument | null): Edge[] {
  const label = (id: string): string => labelOf(document?.nodes[id] ?? {});
  return edges.map((edge) => {
    const text = textOf(edge.label);
    const ariaLabel = `${label(edge.source)} to ${label(edge.target)}${text === "" ? "" : `: ${text}`}`;
    return once(edge, () => ({ ...edge, ...defaultEdgeOptions, ariaLabel }));
  });
}

/** Give the nodes and edges of a version that is only looked at. */
export function elementsOf(document: FlowDocument): { nodes: Node[]; edges: Edge[] } {
  return {
    nodes: Object.values(document.nodes),
    edges: Object.values(document.edges),
  };
}
