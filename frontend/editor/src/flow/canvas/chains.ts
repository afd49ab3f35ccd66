/**
 * Long chains of nodes in nodes, cut for React Flow: it walks from a node to the outermost one by recursion, and for
 * each selected node. Pure functions.
 */

import type { NodeChange } from "@xyflow/react";

import type { Arrangement } from "./arrangement";

/** How many nodes deep React Flow gets nodes in nodes. A node below that is given at its place on the canvas, without a parent. */
export const MOST_DEEP = 200;

/**
 * Give the nodes at which chains are cut.
 *
 * @param nodes the ids of what React Flow gets, parents before children.
 * @param isLoose tells whether a node is given without its parent in any case.
 */
export function cutsIn(nodes: Iterable<string>, arrangement: Arrangement, isLoose: (id: string) => boolean): ReadonlySet<string> {
  const cuts = new Set<string>();
  const depths = new Map<string, number>();
  for (const id of nodes) {
    const parent = arrangement.get(id)?.parent;
    const depth = parent === undefined || isLoose(id) ? 0 : (depths.get(parent) ?? 0) + 1;
    if (depth > MOST_DEEP) {
      cuts.add(id);
    }
    depths.set(id, depth > MOST_DEEP ? 0 : depth);
  }
  return cuts;
}

/**
 * Give React Flow's changes as they would be without cuts: places relative to the parents, and none for nodes that move
 * with a node around them.
 *
 * @param isCut tells whether React Flow has a node without its parent.
 */
export function joined<C extends NodeChange>(changes: C[], arrangement: Arrangement, isCut: (id: string) => boolean): C[] {
  const moved = new Set(changes.flatMap((change) => (change.type === "position" ? [change.id] : [])));
  const parentOf = (id: string): string | undefined => arrangement.get(id)?.parent;
  const isInMoved = upwards(parentOf, (id) => (moved.has(id) ? true : undefined));
  const isCarried = upwards(parentOf, (id) => (isCut(id) ? isInMoved(parentOf(id)) : undefined));
  return changes.flatMap((change) => {
    if (change.type !== "position") {
      return [change];
    }
    const { id, position } = change;
    if (isCarried(id)) {
      return [];
    }
    const around = isCut(id) ? arrangement.get(parentOf(id) ?? "")?.box : undefined;
    return [position === undefined || around === undefined ? change : { ...change, position: { x: position.x - around.x, y: position.y - around.y } }];
  });
}

/** Make a function that asks a node and those around it, from the innermost, until one has an answer; `false` if none has. Each is asked once. */
function upwards(parentOf: (id: string) => string | undefined, ask: (id: string) => boolean | undefined): (id: string | undefined) => boolean {
  const known = new Map<string, boolean>();
  return (id) => {
    const path: string[] = [];
    let answer: boolean | undefined;
    for (let at = id; at !== undefined && answer === undefined; at = parentOf(at)) {
      answer = known.get(at) ?? ask(at);
      path.push(at);
    }
    path.forEach((one) => known.set(one, answer === true));
    return answer === true;
  };
}
