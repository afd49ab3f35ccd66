/** Arranges a flow from left to right. Loaded at first use. */

import dagre from "@dagrejs/dagre";
import { type FlowDocument, type FlowNode, type JsonObject, own, type Point } from "helix-flows";

import { type Box, boxesOf, frameOf } from "../../drawing";
import { membersOf, outermost, type Place, placesIn } from "../../nesting";
import { MIN_SIZE } from "../canvas/FlowNode";
import { HEADING, PADDING } from "./grouping";
import { inLayers } from "./layering";

const GAP = { nodesep: 40, ranksep: 96 };

/** From this many nodes or edges on, dagre takes seconds; with longer chains its stack overflows. */
const MANY = 1_000;

type Size = Pick<Box, "width" | "height">;

/** The change of one node. */
interface Change {
  position: Point;
  parentId: string | null;
  width?: number | null;
  height?: number | null;
}

type Places = ReadonlyMap<string, Place>;

/** Give the nodes' boxes in the layout, starting at 0, 0. */
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
 * Give a patch that arranges nodes.
 *
 * @param ids which nodes, with their contents: they stay in about the same area. By default all, including the
 * contents of groups, which are resized to fit. Locked nodes stay, with their contents.
 */
export function layoutPatch(document: FlowDocument, ids?: readonly string[]): JsonObject {
  const places = placesIn(document);
  return { nodes: Object.fromEntries(ids === undefined ? whole(document, places) : some(document, places, outermost(ids, places))) };
}

/** Arrange some nodes, none of which lies in another. */
function some(document: FlowDocument, places: Places, ids: readonly string[]): [string, Change][] {
  const boxes = boxesOf(document, places);
  const arranged = new Map(ids.flatMap((id) => (boxes.has(id) ? [[id, boxes.get(id) as Box]] : [])));
  /** The node itself, or the arranged node that contains it. */
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

/** Arrange everything, the contents of groups before the groups. */
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
  // Deeper groups are listed later.
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

/** List the edges by their ends' innermost common group, as edges between that group's children. */
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

/** A node on the path of ancestors. */
interface Step {
  id: string;
  /** The number of ancestors. */
  depth: number;
  /** The parent, and an ancestor much farther out. */
  out: Step | undefined;
  far: Step | undefined;
}

/**
 * Give the ancestor paths of all nodes, with skew-binary jump pointers: few steps lead far, however deep nodes lie
 * (Myers, "An applicative random-access stack", 1983).
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

/** Find two nodes' ancestors just below their common group; `null` if one node lies in the other. */
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

/** Give a patch that restores nodes' places and sizes, except for those that somebody has moved or deleted since. */
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
