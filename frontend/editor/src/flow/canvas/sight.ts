/**
 * Culling: of many nodes and edges, React Flow gets those that can soon be visible, and those in use.
 *
 * React Flow goes through all its elements at each step of a pan, and processes new ones one by one. With thousands
 * of elements this is slow. Pure functions.
 */

import type { Edge, Node } from "@xyflow/react";

import { around, type Box } from "../../drawing";
import { overlaps } from "../edits/levels";
import { isWithin } from "../edits/room";
import { type Arrangement, derivationOf, insideOf, type Lying } from "./arrangement";

/** The margin of an area on each side, as a share of the visible part. */
const AROUND = 0.5;

/** The greatest width of an area, in widths of the visible part. */
const LOOSE = 4;

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
  edges: readonly E[];
}

/** What is given by itself, without the nodes that it depends on. */
interface Seen<E> {
  nodes: ReadonlySet<string>;
  /** The nodes in use, and everything inside them. */
  carried: ReadonlySet<string>;
  edges: readonly E[];
}

type Ends = Pick<Edge, "source" | "target" | "selected">;

/**
 * Give the nodes and edges that lie in an area or are in use, with those that they depend on: both nodes of an
 * edge, and the parent of a node.
 *
 * However deep a node lies, only its direct parent is added. But a node in use carries everything inside it, so all
 * levels between are added, too. If a node expands its group, everything in that group is added, since it moves.
 *
 * If the arrangement is derived, the work is in proportion to what has changed and what is given. Nodes that were given
 * before the change are then given, too.
 */
export function givenIn<E extends Ends>(arrangement: Arrangement, edges: readonly E[], area: Box): Given<E> {
  const { from, changed } = derivationOf(arrangement);
  const seen = seenIn(from, edges, area);
  return withLeanedOn(arrangement, changed.size === 0 ? seen : withChanged(seen, arrangement, changed, edges, area));
}

const knownSeen = new WeakMap<Arrangement, { edges: readonly unknown[]; area: Box; seen: Seen<unknown> }>();

/** Look through all nodes and edges, once for an area. */
function seenIn<E extends Ends>(arrangement: Arrangement, edges: readonly E[], area: Box): Seen<E> {
  const before = knownSeen.get(arrangement);
  if (before?.edges === edges && before.area === area) {
    return before.seen as Seen<E>;
  }
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
  const seen: Seen<E> = { nodes, carried, edges: edges.filter((edge) => isThere(edge, arrangement, area)) };
  knownSeen.set(arrangement, { edges, area, seen });
  return seen;
}

function isThere(edge: Ends, arrangement: Arrangement, area: Box): boolean {
  const [from, to] = [arrangement.get(edge.source), arrangement.get(edge.target)];
  return from !== undefined && to !== undefined && (edge.selected === true || overlaps(around(from.box, to.box), area));
}

/** Add what has to be given because of changed nodes. */
function withChanged<E extends Ends>(seen: Seen<E>, arrangement: Arrangement, changed: ReadonlySet<string>, edges: readonly E[], area: Box): Seen<E> {
  const nodes = new Set(seen.nodes);
  const carried = new Set(seen.carried);
  const touching = touchingIn(edges);
  const chosen = new Set(seen.edges);
  const before = chosen.size;
  const carry: string[] = [];
  for (const id of changed) {
    const { node, box } = arrangement.get(id) as Lying;
    if (isHeld(node)) {
      carry.push(id);
    }
    if (isHeld(node) || overlaps(box, area)) {
      nodes.add(id);
    }
    touching.get(id)?.filter((edge) => isThere(edge, arrangement, area)).forEach((edge) => chosen.add(edge));
  }
  const inside = insideOf(arrangement);
  for (let id = carry.pop(); id !== undefined; id = carry.pop()) {
    if (!carried.has(id)) {
      carried.add(id);
      inside.get(id)?.forEach((one) => carry.push(one));
    }
  }
  return { nodes, carried, edges: chosen.size === before ? seen.edges : edges.filter((edge) => chosen.has(edge)) };
}

const knownTouching = new WeakMap<readonly Ends[], ReadonlyMap<string, readonly Ends[]>>();

/** List the edges of each node. */
function touchingIn<E extends Ends>(edges: readonly E[]): ReadonlyMap<string, readonly E[]> {
  const before = knownTouching.get(edges);
  if (before !== undefined) {
    return before as ReadonlyMap<string, readonly E[]>;
  }
  const touching = new Map<string, E[]>();
  for (const edge of edges) {
    for (const id of [edge.source, edge.target]) {
      const known = touching.get(id);
      if (known === undefined) {
        touching.set(id, [edge]);
      } else {
        known.push(edge);
      }
    }
  }
  knownTouching.set(edges, touching);
  return touching;
}

/** Add the nodes that others depend on. */
function withLeanedOn<E extends Ends>(arrangement: Arrangement, { nodes: seen, carried, edges }: Seen<E>): Given<E> {
  const nodes = new Set(seen);
  const loose = new Set<string>();
  const lean = (id: string): void => {
    (carried.has(id) ? nodes : loose).add(id);
  };
  for (const { source, target } of edges) {
    lean(source);
    lean(target);
  }
  const grown = new Set<string>();
  // The loop also reaches nodes that are added meanwhile.
  for (const id of nodes) {
    const { node, parent } = arrangement.get(id) as Lying;
    if (parent !== undefined && node.expandParent === true) {
      nodes.add(parent);
      if (!grown.has(parent)) {
        grown.add(parent);
        insideOf(arrangement).get(parent)?.forEach((sibling) => nodes.add(sibling));
      }
    } else if (parent !== undefined) {
      lean(parent);
    }
  }
  for (const id of nodes) {
    loose.delete(id);
  }
  loose.forEach((id) => nodes.add(id));
  return { nodes, loose, edges };
}
