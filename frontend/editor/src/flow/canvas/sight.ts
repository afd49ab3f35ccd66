/**
 * Which of many nodes and edges React Flow is given: those that can be seen soon, and those that somebody holds.
 *
 * React Flow looks through all that it has with each step of a pan, and takes in what it is given one by one. Of
 * thousands, that is what takes long. Pure functions.
 */

import type { Edge, Node } from "@xyflow/react";

import type { Box } from "../../drawing";
import { membersOf } from "../../nesting";
import { overlaps } from "../edits/levels";
import { isWithin } from "../edits/room";
import type { Arrangement, Lying } from "./arrangement";

/** How much farther an area goes than what is in sight, on each side, as a share of that. */
const AROUND = 0.5;

/** How many times as wide as what is in sight an area is at most. */
const LOOSE = 4;

function around(a: Box, b: Box): Box {
  const [x, y] = [Math.min(a.x, b.x), Math.min(a.y, b.y)];
  return { x, y, width: Math.max(a.x + a.width, b.x + b.width) - x, height: Math.max(a.y + a.height, b.y + b.height) - y };
}

/**
 * Give the area whose nodes and edges are there while one looks at a part of the canvas.
 *
 * @param seen what is in sight.
 * @param before the area until now, which is given again as long as it will do.
 * @param isHeld whether something goes on that nothing may vanish from, as a line that is drawn.
 */
export function areaAround(seen: Box, before: Box | null, isHeld: boolean): Box {
  if (before !== null && isWithin(seen, before) && (isHeld || before.width <= LOOSE * seen.width)) {
    return before;
  }
  const { x, y, width, height } = seen;
  const area: Box = { x: x - AROUND * width, y: y - AROUND * height, width: (1 + 2 * AROUND) * width, height: (1 + 2 * AROUND) * height };
  return isHeld && before !== null ? around(area, before) : area;
}

/** Tell whether React Flow needs a node wherever that is: what it doesn't have it can't move, or select no more. */
function isHeld({ selected, dragging, resizing }: Node): boolean {
  return selected === true || dragging === true || resizing === true;
}

/** What of many React Flow is given. */
export interface Given<E> {
  nodes: ReadonlySet<string>;
  /** Those of the nodes that are only leaned on, out of sight: they are given where they are on the canvas, and in no other. */
  loose: ReadonlySet<string>;
  edges: E[];
}

/**
 * Give the nodes and the edges that lie in an area or are held, with those that these lean on: an edge on both of its
 * nodes, a node on the one that it lies in.
 *
 * However deep something lies, no more comes with it than that one. But what is held carries what lies in it, and so
 * all in between comes, too; and so does all in a group that a node makes larger, which moves it.
 */
export function givenIn<E extends Pick<Edge, "source" | "target" | "selected">>(arrangement: Arrangement, edges: readonly E[], area: Box): Given<E> {
  const nodes = new Set<string>();
  const carried = new Set<string>();
  for (const [id, { node, box, parent }] of arrangement) {
    const isThere = isHeld(node);
    // Who lies in another is listed after that one.
    if (isThere || (parent !== undefined && carried.has(parent))) {
      carried.add(id);
    }
    if (isThere || overlaps(box, area)) {
      nodes.add(id);
    }
  }
  const loose = new Set<string>();
  const lean = (id: string): void => {
    (carried.has(id) ? nodes : loose).add(id);
  };
  const given = edges.filter((edge) => {
    const [from, to] = [arrangement.get(edge.source), arrangement.get(edge.target)];
    const isGiven = from !== undefined && to !== undefined && (edge.selected === true || overlaps(around(from.box, to.box), area));
    if (isGiven) {
      lean(edge.source);
      lean(edge.target);
    }
    return isGiven;
  });
  let members: ReturnType<typeof membersOf> | undefined;
  const grown = new Set<string>();
  // What is added meanwhile comes up as well.
  for (const id of nodes) {
    const { node, parent } = arrangement.get(id) as Lying;
    if (parent !== undefined && node.expandParent === true) {
      nodes.add(parent);
      if (!grown.has(parent)) {
        grown.add(parent);
        members ??= membersOf(arrangement);
        members.get(parent)?.forEach((sibling) => nodes.add(sibling));
      }
    } else if (parent !== undefined) {
      lean(parent);
    }
  }
  for (const id of nodes) {
    loose.delete(id);
  }
  loose.forEach((id) => nodes.add(id));
  return { nodes, loose, edges: given };
}
