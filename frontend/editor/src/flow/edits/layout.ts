/** Arranges a flow from left to right. Loaded when it is first wanted. */

import dagre from "@dagrejs/dagre";
import { type FlowDocument, type FlowNode, type JsonObject, own, type Point } from "helix-flows";

import { type Box, boxesOf, frameOf } from "../../drawing";
import { membersOf, outermost, type Place, placesIn } from "../../nesting";
import { MIN_SIZE } from "../canvas/FlowNode";
import { HEADING, PADDING } from "./grouping";
import { inLayers } from "./layering";

const GAP = { nodesep: 40, ranksep: 96 };

/** From so many nodes or edges on, dagre takes seconds; in longer chains it runs out of stack. */
const MANY = 1_000;

type Size = Pick<Box, "width" | "height">;

/** What of a node a patch of these changes. */
interface Change {
  position: Point;
  parentId: string | null;
  width?: number | null;
  height?: number | null;
}

type Places = ReadonlyMap<string, Place>;

/** Give where nodes stand in order: their upper left corners, from 0, 0 on. */
function inOrder(sizes: ReadonlyMap<string, Size>, edges: readonly (readonly [string, string])[]): Map<string, Box> {
  if (sizes.size === 1) {
    return new Map(Array.from(sizes, ([id, size]) => [id, { x: 0, y: 0, ...size }]));
  }
  if (sizes.size >= MANY || edges.length >= MANY) {
    return inLayers(sizes, edges, GAP);
  }
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "LR", ...GAP });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const [id, { width, height }] of sizes) {
    graph.setNode(id, { width, height });
  }
  for (const [source, target] of edges) {
    graph.setEdge(source, target);
  }
  dagre.layout(graph);
  return new Map(
    graph.nodes().map((id) => {
      const { x, y, width, height } = graph.node(id) as Box;
      return [id, { x: Math.round(x - width / 2), y: Math.round(y - height / 2), width, height }];
    }),
  );
}

/**
 * Give a patch that moves nodes to where they stand in order.
 *
 * @param ids which, with what lies in them: they stay about where they are. Where it isn't said, all: also what lies in
 * groups, which become as large as it takes. What is locked stays, with all that lies in it.
 */
export function layoutPatch(document: FlowDocument, ids?: readonly string[]): JsonObject {
  const places = placesIn(document);
  return { nodes: Object.fromEntries(ids === undefined ? whole(document, places) : some(document, places, outermost(ids, places))) };
}

/** Arrange some nodes, that lie in none of themselves. */
function some(document: FlowDocument, places: Places, ids: readonly string[]): [string, Change][] {
  const boxes = boxesOf(document, places);
  const arranged = new Map(ids.flatMap((id) => (boxes.has(id) ? [[id, boxes.get(id) as Box]] : [])));
  /** The node itself, or the one of those that are arranged that it lies in. */
  const around = new Map<string, string>();
  for (const [id, { parent }] of places) {
    const carrier = arranged.has(id) ? id : around.get(parent ?? "");
    if (carrier !== undefined) {
      around.set(id, carrier);
    }
  }
  const edges = Object.values(document.edges).flatMap(({ source, target }) => {
    const [from, to] = [around.get(source), around.get(target)];
    return from === undefined || to === undefined || from === to ? [] : [[from, to] as const];
  });
  const start = frameOf(arranged, 0);
  return [...inOrder(arranged, edges)].filter(([id]) => !isLocked(document, id)).map(([id, { x, y }]) => {
    const { parent } = places.get(id) as Place;
    const origin = places.get(parent ?? "") ?? { x: 0, y: 0 };
    const position = { x: Math.round(start.x + x - origin.x), y: Math.round(start.y + y - origin.y) };
    return [id, { position, parentId: parent ?? null }];
  });
}

/** Arrange all, what lies in groups before these. */
function whole(document: FlowDocument, places: Places): [string, Change][] {
  const sizes = new Map<string, Size>(boxesOf(document, places));
  const members = membersOf(places);
  const links = linksOf(document, places);
  const fixed = new Set<string | undefined>();
  for (const [id, { parent }] of places) {
    if (isLocked(document, id) || (parent !== undefined && fixed.has(parent))) {
      fixed.add(id);
    }
  }
  const changes = new Map<string, Change>();
  // What lies deeper comes later.
  for (const [group, ids] of [...members].reverse()) {
    if (fixed.has(group)) {
      continue;
    }
    const arranged = inOrder(new Map(ids.map((id) => [id, sizes.get(id) as Size])), links.get(group) ?? []);
    const [left, top] = group === undefined ? [0, 0] : [PADDING, HEADING];
    for (const [id, { x, y }] of arranged) {
      if (!fixed.has(id)) {
        changes.set(id, { position: { x: x + left, y: y + top }, parentId: group ?? null, ...sizeChange(own(document.nodes, id) as FlowNode, sizes.get(id) as Size, members.has(id)) });
      }
    }
    if (group !== undefined) {
      const { width, height } = frameOf(arranged, 0);
      sizes.set(group, { width: Math.max(MIN_SIZE.width, width + 2 * PADDING), height: Math.max(MIN_SIZE.height, height + HEADING + PADDING) });
    }
  }
  return [...changes];
}

function sizeChange(node: FlowNode, { width, height }: Size, isGroup: boolean): Partial<Change> {
  return !isGroup || (node["width"] === width && node["height"] === height) ? {} : { width, height };
}

/** List the edges by the innermost group that both ends lie in, as edges between what lies in that. */
function linksOf({ edges }: FlowDocument, places: Places): Map<string | undefined, [string, string][]> {
  const links = new Map<string | undefined, [string, string][]>();
  const steps = stepsIn(places);
  for (const { source, target } of Object.values(edges)) {
    const ends = apart(steps.get(source), steps.get(target));
    if (ends !== null) {
      const group = places.get(ends[0])?.parent;
      const found = links.get(group) ?? [];
      found.push(ends);
      links.set(group, found);
    }
  }
  return links;
}

/** A node on the way out of what it lies in. */
interface Step {
  id: string;
  /** How many it lies in. */
  depth: number;
  /** The one that it lies in, and one much farther out. */
  out: Step | undefined;
  far: Step | undefined;
}

/**
 * Give the ways out of all nodes. On them few steps lead far, however deep nodes lie: these are skew-binary jump
 * pointers (Myers, "An applicative random-access stack", 1983).
 */
function stepsIn(places: Places): Map<string, Step> {
  const steps = new Map<string, Step>();
  for (const [id, { parent }] of places) {
    const out = steps.get(parent ?? "");
    const far = out?.far;
    const isSame = out !== undefined && out.depth - (far?.depth ?? -1) === (far?.depth ?? -1) - (far?.far?.depth ?? -1);
    steps.set(id, { id, depth: out === undefined ? 0 : out.depth + 1, out, far: isSame ? far?.far : out });
  }
  return steps;
}

/** Find where the ways out of two nodes come to the same group: the two in it; `null` where one lies in the other. */
function apart(from: Step | undefined, to: Step | undefined): [string, string] | null {
  let [a, b] = [from, to];
  while (a !== undefined && b !== undefined && a.depth !== b.depth) {
    if (a.depth > b.depth) {
      a = a.far !== undefined && a.far.depth >= b.depth ? a.far : a.out;
    } else {
      b = b.far !== undefined && b.far.depth >= a.depth ? b.far : b.out;
    }
  }
  while (a !== undefined && b !== undefined && a !== b && a.out !== b.out) {
    [a, b] = a.far === b.far ? [a.out, b.out] : [a.far, b.far];
  }
  return a === undefined || b === undefined || a === b ? null : [a.id, b.id];
}

function isLocked(document: FlowDocument, id: string): boolean {
  return own(document.nodes, id)?.["draggable"] === false;
}

/** Give a patch that puts nodes back to where they were, and as large, but for those that somebody has moved since, or deleted. */
export function arrangedBack(before: FlowDocument, arranged: JsonObject, now: FlowDocument | null): JsonObject {
  const moved = Object.entries(arranged["nodes"] as Record<string, Change>);
  const nodes = moved.flatMap(([id, { position, parentId, width, height }]) => {
    const [old, node] = [own(before.nodes, id), own(now?.nodes, id)];
    const isThere = node?.position.x === position.x && node.position.y === position.y && (node["parentId"] ?? null) === parentId;
    const isAsLarge = width === undefined || (node?.["width"] === width && node["height"] === height);
    const size = width === undefined || !isAsLarge ? {} : { width: old?.["width"] ?? null, height: old?.["height"] ?? null };
    return isThere && old !== undefined ? [[id, { position: old.position, parentId, ...size }] as const] : [];
  });
  return { nodes: Object.fromEntries(nodes) };
}
