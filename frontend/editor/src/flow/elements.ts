/** What React Flow is given of a flow's nodes and edges: with sizes, and names for those who can't see them. */

import { type Edge, MarkerType, type Node, type NodeHandle, Position } from "@xyflow/react";
import type { FlowDocument } from "helix-flows";

import { sizeOf } from "../drawing";
import { KINDS, kindOfNode, labelOf, textOf } from "../kinds";
import { dressed, lookOf } from "../look";
import { inOrder, levelOf, liftOf, nestingOf, type Place, placesIn } from "../nesting";
import { FlowEdge, LEVEL } from "./FlowEdge";
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
  return `${kindOfNode(node).name}: ${labelOf(node)}${node.draggable === false ? ", locked" : ""}`;
}

/** What React Flow is told of a node besides, where it is a yes or no. */
const SWITCHES = ["selected", "dragging", "draggable", "selectable", "connectable", "hidden"] as const;

type Switched = Partial<Record<(typeof SWITCHES)[number], boolean>>;

/** Give what of these is a yes or no: other editors write anything. */
function switchesOf(element: Readonly<Record<string, unknown>>): Switched {
  return Object.fromEntries(SWITCHES.flatMap((name) => (typeof element[name] === "boolean" ? [[name, element[name]]] : [])));
}

/** Give what binds a node to the one that it lies in. */
function bindingOf({ extent, expandParent }: Node, parentId: string): Partial<Node> {
  return { parentId, ...(extent === "parent" ? { extent } : {}), ...(expandParent === true ? { expandParent } : {}) };
}

/**
 * Give nodes as they are drawn, those that others lie in first. One that hasn't changed is the very same object as
 * before. Of what other editors have written, only what is understood here counts.
 */
export function shownNodes(nodes: readonly Node[]): Node[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  return [...nestingOf(nodes)].map(([id, { parent }]) => {
    const node = byId.get(id) as Node;
    return once(node, parent ?? "", () => {
      const { width, height } = sizeOf(node);
      return {
        id,
        type: drawnType(node),
        position: node.position,
        width,
        height,
        zIndex: levelOf(node.zIndex),
        ...switchesOf(node),
        ...(parent === undefined ? {} : bindingOf(node, parent)),
        ...dressed(lookOf(node)),
        measured: { width: Math.round(width), height: Math.round(height) },
        handles: handlesOf({ width, height }),
        data: node.draggable === false ? { ...node.data, [LOCKED]: true } : node.data,
        ariaLabel: nameOf(node),
      };
    });
  });
}

/** Give the type by which React Flow finds what draws a node. */
function drawnType(node: Node): string {
  const { type } = kindOfNode(node);
  return Object.hasOwn(nodeTypes, type) ? type : "default";
}

/** Give edges as they are drawn, named after the nodes that they join. */
export function shownEdges(edges: readonly Edge[], document: FlowDocument | null): Edge[] {
  const label = (id: string): string => labelOf(document?.nodes[id] ?? {});
  const places = document === null ? new Map<string, Place>() : placesIn(document);
  return edges.map((edge) => {
    const text = textOf(edge.label);
    const name = `${label(edge.source)} to ${label(edge.target)}${text === "" ? "" : `: ${text}`}`;
    const level = levelOf(edge.zIndex);
    const labelLevel = level + liftOf(edge, places);
    return once(edge, `${labelLevel} ${name}`, () => ({
      id: edge.id,
      source: edge.source,
      target: edge.target,
      type: EDGE_TYPES.includes(edge.type ?? "") ? (edge.type as string) : "default",
      zIndex: level,
      data: { [LEVEL]: labelLevel },
      ...switchesOf(edge as unknown as Record<string, unknown>),
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

/** Give the nodes and edges of a version that is only looked at, in everybody's order. */
export function elementsOf(document: FlowDocument): { nodes: Node[]; edges: Edge[] } {
  return { nodes: inOrder(document.nodes), edges: inOrder(document.edges) };
}
