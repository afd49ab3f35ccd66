/**
 * Culling: of many nodes and edges, React Flow gets those that can soon be visible, and those in use.
 *
 * React Flow goes through all its elements at each step of a pan, and processes new ones one by one. With thousands
 * of elements this is slow. Pure functions.
 */

import type { Edge, Node } from "@xyflow/react";

import type { Box } from "../../drawing";
import { membersOf } from "../../nesting";
import { overlaps } from "../edits/levels";
import { isWithin } from "../edits/room";
import type { Arrangement, Lying } from "./arrangement";

/** The margin of an area on each side, as a share of the visible part. */
const AROUND = 0.5;

/** The greatest width of an area, in widths of the visible part. */
const LOOSE = 4;

function around(a: Box, b: Box): Box {
  const [x, y] = [Math.min(a.x, b.x), Math.min(a.y, b.y)];
  return { x, y, width: Math.max(a.x + a.width, b.x + b.width) - x, height: Math.max(a.y + a.height, b.y + b.height) - y };
}

/**
 * Give the area whose nodes and edges are rendered while a part of the canvas is visible.
 *
 * @param seen the visible part.
 * @param before the previous area, which is reused while it is sufficient.
 * @param isHeld whether a gesture is in progress in which nothing may vanish, such as drawing an edge.
 */
export function areaAround(seen: Box, before: Box | null, isHeld: boolean): Box {
  if (before !== null && isWithin(seen, before) && (isHeld || before.width <= LOOSE * seen.width)) {
    return before;
  }
  const { x, y, width, height } = seen;
  const area: Box = { x: x - AROUND * width, y: y - AROUND * height, width: (1 + 2 * AROUND) * width, height: (1 + 2 * AROUND) * height };
  return isHeld && before !== null ? around(area, before) : area;
}

/** Tell whether React Flow needs a node even out of view: without it, it can't move or deselect it. */
function isHeld({ selected, dragging, resizing }: Node): boolean {
  return selected === true || dragging === true || resizing === true;
}

/** The elements that React Flow gets. */
export interface Given<E> {
  nodes: ReadonlySet<string>;
  /** Nodes out of view that others depend on: given at their place on the canvas, without a parent. */
  loose: ReadonlySet<string>;
  edges: E[];
}

/**
 * Give the nodes and edges that lie in an area or are in use, with those that they depend on: both nodes of an
 * edge, and the parent of a node.
 *
 * However deep a node lies, only its direct parent is added. But a node in use carries everything inside it, so all
 * levels between are added, too. If a node expands its group, everything in that group is added, since it moves.
 */
export function givenIn<E extends Pick<Edge, "source" | "target" | "selected">>(arrangement: Arrangement, edges: readonly E[], area: Box): Given<E> {
  const nodes = new Set<string>();
  const carried = new Set<string>();
  for (const [id, { node, box, parent }] of arrangement) {
    const isThere = isHeld(node);
    // Children are listed after their parents.
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
  // The loop also reaches nodes that are added meanwhile.
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
