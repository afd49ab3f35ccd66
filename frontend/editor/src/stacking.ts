/** What is drawn above what at one level: groups, edges, nodes, from below. And where edges of the same ends run. */

import { compareIds, type FlowEdge } from "helix-flows";

/** What lies at a level, from below. */
const PARTS = ["group", "edge", "node"] as const;

type Part = (typeof PARTS)[number];

/** Give the number by which something is above all that has a lower one; see `Place` for levels. */
export function stackedAt(level: number, part: Part): number {
  return PARTS.length * level + PARTS.indexOf(part);
}

type Edges = Readonly<Record<string, Pick<FlowEdge, "id" | "source" | "target">>>;

const known = new WeakMap<Edges, ReadonlyMap<string, number>>();

/**
 * Tell in which lane edges run that have the same ends as others: 0 is in the middle, and those of one pair are one
 * from each other. What isn't named runs in the middle.
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
