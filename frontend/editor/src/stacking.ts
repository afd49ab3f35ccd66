/** Drawing order within a level: groups, edges, nodes. And lanes for edges with the same ends. */

import { compareIds, type FlowEdge } from "helix-flows";

/** The parts of a level, from bottom to top. */
const PARTS = ["group", "edge", "node"] as const;

type Part = (typeof PARTS)[number];

/** Give a part's `zIndex`: higher ones are drawn above lower ones. See `Place` for levels. */
export function stackedAt(level: number, part: Part): number {
  return PARTS.length * level + PARTS.indexOf(part);
}

type Edges = Readonly<Record<string, Pick<FlowEdge, "id" | "source" | "target">>>;

const known = new WeakMap<Edges, ReadonlyMap<string, number>>();

/**
 * Give the lanes of edges that share their ends: 0 is the middle, and neighbouring lanes differ by one. Other edges
 * run in the middle.
 *
 * @param edges which never change in place.
 */
export function lanesIn(edges: Edges): ReadonlyMap<string, number> {
  const before = known.get(edges);
  if (before !== undefined) {
    return before;
  }
  const byEnds = new Map<string, string[]>();
  for (const { id, source, target } of Object.values(edges)) {
    const ends = `${source.length} ${source}${target}`;
    const same = byEnds.get(ends);
    if (same === undefined) {
      byEnds.set(ends, [id]);
    } else {
      same.push(id);
    }
  }
  const lanes = new Map<string, number>();
  for (const ids of byEnds.values()) {
    if (ids.length > 1) {
      ids.sort(compareIds).forEach((id, n) => lanes.set(id, n - (ids.length - 1) / 2));
    }
  }
  known.set(edges, lanes);
  return lanes;
}
