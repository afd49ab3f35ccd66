/** What React Flow is given of a flow's nodes and edges: with sizes, and names for those who can't see them. */

import { type Edge, MarkerType, type Node, type NodeHandle, Position } from "@xyflow/react";
import type { FlowDocument } from "helix-flows";

import { NODE_SIZE } from "../drawing";
import { KINDS, kindOf, labelOf, textOf } from "../kinds";
import { FlowEdge } from "./FlowEdge";
import { FlowNode, LOCKED } from "./FlowNode";

/** One look for all; React Flow shows `default` for types that it doesn't know. */
export const nodeTypes = Object.fromEntries(["default", ...KINDS.map(({ type }) => type)].map((type) => [type, FlowNode]));

/** The side of the square that a handle takes. */
const HANDLE = 10;

const MARKER = { type: MarkerType.ArrowClosed, width: 18, height: 18, color: "var(--edge)" };
const CHOSEN_MARKER = { ...MARKER, color: "var(--accent)" };

/** The shapes of edges, as React Flow calls them. */
export const EDGE_TYPES = ["default", "smoothstep", "step", "straight"];

export const edgeTypes = Object.fromEntries(EDGE_TYPES.map((type) => [type, FlowEdge]));

interface Given<T> {
  element: T;
  name: string;
}

const given = new WeakMap<Node | Edge, Given<unknown>>();

function once<T extends Node | Edge>(element: T, name: string, make: () => T): T {
  const before = given.get(element) as Given<T> | undefined;
  if (before?.name === name) {
    return before.element;
  }
  const made = make();
  given.set(element, { element: made, name });
  return made;
}

/** Say where the handles of a node are: React Flow then needs no look at a node to draw its edges. */
function handlesOf({ width, height }: { width: number; height: number }): NodeHandle[] {
  const y = (height - HANDLE) / 2;
  const size = { y, width: HANDLE, height: HANDLE };
  return [
    { type: "target", position: Position.Left, x: -HANDLE / 2, ...size },
    { type: "source", position: Position.Right, x: width - HANDLE / 2, ...size },
  ];
}

/** Say what a node is, for those who can't see it. */
export function nameOf(node: { type?: string | undefined; data: Record<string, unknown>; draggable?: unknown }): string {
  return `${kindOf(node.type).name}: ${labelOf(node)}${node.draggable === false ? ", locked" : ""}`;
}

/** Give nodes as they are drawn. One that hasn't changed is the very same object as before. */
export function shownNodes(nodes: readonly Node[]): Node[] {
  return nodes.map((node) =>
    once(node, "", () => {
      const { width = NODE_SIZE.width, height = NODE_SIZE.height } = node;
      return {
        ...node,
        measured: { width: Math.round(width), height: Math.round(height) },
        handles: handlesOf({ width, height }),
        ...(node.draggable === false ? { data: { ...node.data, [LOCKED]: true } } : {}),
        ariaLabel: nameOf(node),
      };
    }),
  );
}

/** Give edges as they are drawn, named after the nodes that they join. */
export function shownEdges(edges: readonly Edge[], document: FlowDocument | null): Edge[] {
  const label = (id: string): string => labelOf(document?.nodes[id] ?? {});
  return edges.map((edge) => {
    const text = textOf(edge.label);
    const name = `${label(edge.source)} to ${label(edge.target)}${text === "" ? "" : `: ${text}`}`;
    return once(edge, name, () => ({
      ...edge,
      // A node has one handle on each side, whatever other editors called theirs.
      sourceHandle: null,
      targetHandle: null,
      label: text,
      markerEnd: edge.selected === true ? CHOSEN_MARKER : MARKER,
      reconnectable: edge.selected === true,
      ariaLabel: name,
    }));
  });
}

/** Give the nodes and edges of a version that is only looked at. */
export function elementsOf(document: FlowDocument): { nodes: Node[]; edges: Edge[] } {
  return {
    nodes: Object.values(document.nodes),
    edges: Object.values(document.edges),
  };
}
