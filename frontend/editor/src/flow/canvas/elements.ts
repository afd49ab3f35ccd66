/** The nodes and edges for React Flow, with sizes, and names for screen readers. */

import { type Connection, type Edge, MarkerType, type Node, type NodeHandle, Position } from "@xyflow/react";
import { type FlowDocument, type FlowEdge as DocumentEdge, own } from "helix-flows";

import { sizeOf } from "../../drawing";
import { kindName, kindOfNode, KINDS, labelOf, shortOf, textOf } from "../../kinds";
import { dressed, lookOf } from "../../look";
import { GROUP, inOrder, levelOf, liftOf, type Place, placesIn } from "../../nesting";
import { lanesIn, stackedAt } from "../../stacking";
import type { Arrangement, Lying } from "./arrangement";
import { cutsIn } from "./chains";
import { FlowEdge, LANE, LEVEL } from "./FlowEdge";
import { FlowNode, GROUPED, LOCKED } from "./FlowNode";
import type { Given } from "./sight";

/** One component for all; React Flow uses `default` for unknown types. */
export const nodeTypes = Object.fromEntries(["default", ...KINDS.map(({ type }) => type)].map((type) => [type, FlowNode]));

/** The side of a handle's square. */
const HANDLE = 10;

const MARKER = { type: MarkerType.ArrowClosed, width: 18, height: 18, color: "var(--edge)" };
const CHOSEN_MARKER = { ...MARKER, color: "var(--accent)" };

/** The shapes of edges, by React Flow's names. */
export const EDGE_TYPES = ["default", "smoothstep", "step", "straight"];

export const edgeTypes = Object.fromEntries(EDGE_TYPES.map((type) => [type, FlowEdge]));

interface Made<T> {
  element: T;
  name: string;
}

const known = new WeakMap<Node | Edge, Made<unknown>>();

function once<T extends Node | Edge>(element: T, name: string, make: () => T): T {
  const before = known.get(element) as Made<T> | undefined;
  if (before?.name === name) {
    return before.element;
  }
  const made = make();
  known.set(element, { element: made, name });
  return made;
}

/** Give a node's handles: with them React Flow draws edges without measuring the node. */
function handlesOf({ width, height }: { width: number; height: number }): NodeHandle[] {
  const y = (height - HANDLE) / 2;
  const size = { y, width: HANDLE, height: HANDLE };
  return [
    { type: "target", position: Position.Left, x: -HANDLE / 2, ...size },
    { type: "source", position: Position.Right, x: width - HANDLE / 2, ...size },
  ];
}

/** Describe a node for screen readers. */
export function nameOf(node: { type?: string | undefined; data: Record<string, unknown>; draggable?: unknown }, isGroup = node.type === GROUP): string {
  return `${kindName(node, isGroup)}: ${labelOf(node)}${node.draggable === false ? ", locked" : ""}`;
}

/** Boolean fields of a node that React Flow gets. */
const SWITCHES = ["selected", "dragging", "draggable", "selectable", "connectable", "hidden"] as const;

type Switched = Partial<Record<(typeof SWITCHES)[number], boolean>>;

/** Give those that are booleans: other editors may write anything. */
function switchesOf(element: Readonly<Record<string, unknown>>): Switched {
  return Object.fromEntries(SWITCHES.flatMap((name) => (typeof element[name] === "boolean" ? [[name, element[name]]] : [])));
}

/** Give the fields that bind a node to its parent. */
function bindingOf({ extent, expandParent }: Node, parentId: string): Partial<Node> {
  return { parentId, ...(extent === "parent" ? { extent } : {}), ...(expandParent === true ? { expandParent } : {}) };
}

/**
 * Give the nodes to draw, parents before children. An unchanged node stays the very same object. Only supported
 * fields are used, whatever other editors have written.
 *
 * @param given which nodes; all by default.
 */
export function shownNodes(arrangement: Arrangement, given?: Pick<Given<Edge>, "nodes" | "loose">): Node[] {
  const all = given === undefined ? [...arrangement.values()] : Array.from(given.nodes, (id) => arrangement.get(id) as Lying).sort((a, b) => a.order - b.order);
  const cuts = cutsIn(all.map(({ node: { id } }) => id), arrangement, (id) => given?.loose.has(id) === true);
  return all.map(({ node, box, parent, isGroup, zIndex }) => {
    const { id } = node;
    const isLoose = given?.loose.has(id) === true || cuts.has(id);
    return once(node, `${zIndex} ${isLoose ? `${box.x} ${box.y}` : `in ${parent ?? ""}`}`, () => {
      const { width, height } = sizeOf(node);
      return {
        id,
        type: drawnType(node),
        position: isLoose ? { x: box.x, y: box.y } : node.position,
        width,
        height,
        zIndex,
        ...switchesOf(node),
        ...(isLoose || parent === undefined ? {} : bindingOf(node, parent)),
        ...dressed(lookOf(node)),
        measured: { width: Math.round(width), height: Math.round(height) },
        handles: handlesOf({ width, height }),
        data: marked(node.data, { [LOCKED]: node.draggable === false, [GROUPED]: isGroup }),
        ariaLabel: nameOf(node, isGroup),
      };
    });
  });
}

/** Add marks to a node's data, if there are any. */
function marked(data: Node["data"], marks: Readonly<Record<string, boolean>>): Node["data"] {
  const set = Object.entries(marks).filter(([, isSet]) => isSet);
  return set.length === 0 ? data : { ...data, ...Object.fromEntries(set) };
}

/** Give the type by which React Flow finds a node's component. */
function drawnType(node: Node): string {
  const { type } = kindOfNode(node);
  return Object.hasOwn(nodeTypes, type) ? type : "default";
}

/** Give an edge's drawing level. */
export function heightOf(edge: Edge, places: ReadonlyMap<string, Pick<Place, "parent" | "level">>): number {
  return stackedAt(levelOf(edge.zIndex) + liftOf(edge, places), "edge");
}

/** Give the edges to draw, named after their nodes. */
export function shownEdges(edges: readonly Edge[], document: FlowDocument | null): Edge[] {
  // A label may be long, and on many edges.
  const labels = new Map<string, string>();
  const label = (id: string): string => {
    const name = labels.get(id) ?? labelOf(own(document?.nodes, id) ?? {});
    labels.set(id, name);
    return name;
  };
  const places = document === null ? new Map<string, Place>() : placesIn(document);
  const lanes = lanesIn(document?.edges ?? {});
  return edges.map((edge) => {
    const text = shortOf(edge.label);
    const name = `${label(edge.source)} to ${label(edge.target)}${text === "" ? "" : `: ${text}`}`;
    const zIndex = heightOf(edge, places);
    const lane = lanes.get(edge.id) ?? 0;
    return once(edge, `${zIndex} ${lane} ${name}`, () => ({
      id: edge.id,
      source: edge.source,
      target: edge.target,
      type: EDGE_TYPES.includes(edge.type ?? "") ? (edge.type as string) : "default",
      zIndex,
      data: { [LEVEL]: zIndex, [LANE]: lane },
      ...switchesOf(edge as unknown as Record<string, unknown>),
      // A node has one handle on each side, whatever other editors called theirs.
      sourceHandle: null,
      targetHandle: null,
      label: text,
      markerEnd: edge.selected === true ? CHOSEN_MARKER : MARKER,
      reconnectable: edge.selected === true && edge.reconnectable !== false,
      ariaLabel: name,
    }));
  });
}

/** Give an edge's ends after a reconnection. At an unchanged end, the handle's name from another editor stays. */
export function ledTo(edge: DocumentEdge | undefined, { source, target }: Pick<DocumentEdge, "source" | "target">): Connection {
  return {
    source,
    target,
    sourceHandle: source === edge?.source ? textOf(edge["sourceHandle"]) : null,
    targetHandle: target === edge?.target ? textOf(edge["targetHandle"]) : null,
  };
}

/** Give the nodes and edges of a read-only version, in everybody's order. */
export function elementsOf(document: FlowDocument): { nodes: Node[]; edges: Edge[] } {
  return { nodes: inOrder(document.nodes), edges: inOrder(document.edges) };
}
