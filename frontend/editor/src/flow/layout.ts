/** Arranges a flow from left to right. Loaded when it is first wanted. */

import dagre from "@dagrejs/dagre";
import { type FlowDocument, type FlowNode, type JsonObject, own, type Point } from "helix-flows";

import { type Box, boxesOf, frameOf } from "../drawing";
import { ancestorsOf, outermost, type Place, placesIn } from "../nesting";
import { MIN_SIZE } from "./FlowNode";
import { HEADING, PADDING } from "./grouping";

const GAP = { nodesep: 40, ranksep: 96 };

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

/** List what lies in what; `undefined` stands for the canvas. */
function membersOf(places: Places): Map<string | undefined, string[]> {
  const members = new Map<string | undefined, string[]>();
  for (const [id, { parent }] of places) {
    const siblings = members.get(parent);
    if (siblings === undefined) {
      members.set(parent, [id]);
    } else {
      siblings.push(id);
    }
  }
  return members;
}

/** List the edges by the innermost group that both ends lie in, as edges between what lies in that. */
function linksOf({ edges }: FlowDocument, places: Places): Map<string | undefined, [string, string][]> {
  const links = new Map<string | undefined, [string, string][]>();
  for (const { source, target } of Object.values(edges)) {
    const [from, to] = [source, target].map((id) => [id, ...ancestorsOf(id, places)].reverse()) as [string[], string[]];
    const n = from.findIndex((id, depth) => id !== to[depth]);
    const [a, b] = [from[n], to[n]];
    if (a !== undefined && b !== undefined) {
      const group = places.get(a)?.parent;
      const found = links.get(group) ?? [];
      found.push([a, b]);
      links.set(group, found);
    }
  }
  return links;
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
