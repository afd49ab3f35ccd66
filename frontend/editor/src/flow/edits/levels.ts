/** Drawing levels: to the front, to the back, and levels of new nodes. Pure functions. */

import { type FlowDocument, type JsonObject, own } from "helix-flows";

import { type Box, boxesOf, frameOf } from "../../drawing";
import { levelOf, liftOf, MAX_LEVEL, placesIn, withInside } from "../../nesting";

/** A node or an edge, and its level. */
interface Layer {
  table: "nodes" | "edges";
  id: string;
  /** The stored value. */
  zIndex: unknown;
  level: number;
  /** The part of the level that comes from its nodes. */
  lift: number;
}

function layersOf(document: FlowDocument): Layer[] {
  const places = placesIn(document);
  const nodes = [...places].map(([id, { level }]): Layer => ({ table: "nodes", id, zIndex: own(document.nodes, id)?.["zIndex"], level, lift: 0 }));
  const edges = Object.values(document.edges).map((edge): Layer => {
    const lift = liftOf(edge, places);
    return { table: "edges", id: edge.id, zIndex: edge["zIndex"], level: levelOf(edge["zIndex"]) + lift, lift };
  });
  return [...nodes, ...edges];
}

/** Number the existing levels from bottom to top: 0, 1, 2 ... */
function ranksOf(layers: readonly Layer[]): Map<number, number> {
  const levels = [...new Set(layers.map(({ level }) => level))].toSorted((a, b) => a - b);
  return new Map(levels.map((level, rank) => [level, rank]));
}

function patchOf(levels: ReadonlyMap<Layer, number>): JsonObject {
  const patch = { nodes: {} as JsonObject, edges: {} as JsonObject };
  for (const [{ table, id, zIndex, lift }, level] of levels) {
    const wanted = Math.max(-MAX_LEVEL, Math.min(MAX_LEVEL, level - lift));
    if (wanted !== (zIndex ?? 0)) {
      patch[table][id] = { zIndex: wanted };
    }
  }
  return patch;
}

/**
 * Give a patch that brings nodes with their contents, and edges, above or below all others. Their own order stays.
 * The patch is empty if they are there already.
 */
export function sent(document: FlowDocument, ids: readonly string[], to: "front" | "back"): JsonObject {
  const layers = layersOf(document);
  const chosen = withInside(ids, placesIn(document));
  const moved = layers.filter(({ id }) => chosen.has(id));
  const others = layers.filter(({ id }) => !chosen.has(id));
  const [ranks, otherRanks] = [ranksOf(moved), ranksOf(others)];
  const [lowest, highest] = [[...ranks.keys()].at(0) ?? 0, [...ranks.keys()].at(-1) ?? 0];
  const [bottom, top] = [[...otherRanks.keys()].at(0), [...otherRanks.keys()].at(-1)];
  if (bottom === undefined || top === undefined || moved.length === 0 || (to === "front" ? lowest > top : highest < bottom)) {
    return {};
  }
  const first = to === "front" ? top + 1 : bottom - ranks.size;
  const isRoom = first >= -MAX_LEVEL && first + ranks.size - 1 <= MAX_LEVEL;
  // At the limit, all levels are numbered again in the same order.
  const start = isRoom ? first : to === "front" ? otherRanks.size : -ranks.size;
  const levels = new Map(moved.map((layer) => [layer, start + (ranks.get(layer.level) ?? 0)]));
  for (const layer of isRoom ? [] : others) {
    levels.set(layer, otherRanks.get(layer.level) ?? 0);
  }
  return patchOf(levels);
}

/** Tell whether two boxes overlap. */
export function overlaps(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

/** Give the level at which something new isn't hidden by any node; 0 if any level will do. */
export function levelAbove(document: FlowDocument | null, added: readonly Box[]): number {
  if (document === null) {
    return 0;
  }
  const frame = frameOf(new Map(added.map((box, n) => [String(n), box])), 0);
  const highest = [...boxesOf(document)].findLast(([, box]) => overlaps(box, frame) && added.some((one) => overlaps(one, box)));
  const level = highest === undefined ? -1 : (placesIn(document).get(highest[0])?.level ?? 0);
  return Math.max(0, Math.min(level + 1, MAX_LEVEL));
}
