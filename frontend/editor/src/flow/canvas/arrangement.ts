/** The arrangement of all nodes: places, parents and drawing levels. Pure functions. */

import type { Node } from "@xyflow/react";

import { around, type Box, frameOf, isFinite, sizeOf } from "../../drawing";
import { GROUP, MAX_LEVEL, membersOf, nestingOf, type Place } from "../../nesting";
import { stackedAt } from "../../stacking";
import { isWithin } from "../edits/room";

/** A node with its place, parent and level. */
export interface Lying extends Pick<Place, "parent" | "level"> {
  node: Node;
  /** Its box on the canvas. */
  box: Box;
  isGroup: boolean;
  /** Higher values are drawn above. */
  zIndex: number;
  /** Its index in the arrangement: parents come first. */
  order: number;
}

/** Nodes by id, parents before children. */
export type Arrangement = ReadonlyMap<string, Lying>;

const known = new WeakMap<readonly Node[], Arrangement>();

/** How an arrangement was derived from another. */
export interface Derivation {
  from: Arrangement;
  /** The ids of nodes that differ, or lie elsewhere. */
  changed: ReadonlySet<string>;
}

const derivations = new WeakMap<Arrangement, Derivation>();

const NONE: ReadonlySet<string> = new Set();

/** If a larger share of the nodes has changed, the arrangement no longer counts as derived. */
const MOST_CHANGED = 0.25;

/** Tell what an arrangement was derived from: itself, if it was made from nodes only. */
export function derivationOf(arrangement: Arrangement): Derivation {
  return derivations.get(arrangement) ?? { from: arrangement, changed: NONE };
}

/**
 * Give the arrangement of nodes. The list never changes in place.
 *
 * @param before an earlier list. If nodes have only moved, or been selected, dragged or resized since, the work is in
 * proportion to these nodes and their descendants.
 */
export function arrangementOf(nodes: readonly Node[], before?: readonly Node[]): Arrangement {
  const arrangement = known.get(nodes) ?? (before === undefined ? null : rearranged(nodes, before)) ?? arranged(nodes);
  known.set(nodes, arrangement);
  return arrangement;
}

function arranged(nodes: readonly Node[]): Arrangement {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const places = nestingOf(nodes);
  const around = new Set<string>();
  for (const { parent } of places.values()) {
    if (parent !== undefined) {
      around.add(parent);
    }
  }
  const arrangement = new Map<string, Lying>();
  for (const [id, { parent, level }] of places) {
    const node = byId.get(id) as Node;
    const isGroup = around.has(id) || node.type === GROUP;
    const box = boxOf(node, parent === undefined ? undefined : arrangement.get(parent)?.box);
    arrangement.set(id, { node, box, parent, level, isGroup, zIndex: heightOf(node, level, isGroup), order: arrangement.size });
  }
  return arrangement;
}

/** The fields that decide a node's parent and level. */
const STRUCTURE = ["id", "parentId", "type", "zIndex"] as const;

/** Derive an arrangement from that of an earlier list; `null` if it can't be derived. */
function rearranged(nodes: readonly Node[], before: readonly Node[]): Arrangement | null {
  const last = known.get(before);
  const fresh = last === undefined ? null : freshIn(nodes, before);
  if (last === undefined || fresh === null) {
    return null;
  }
  const { from, changed } = derivationOf(last);
  const inside = insideOf(from);
  const now = new Map(last);
  const all = new Set(changed);
  const due = [...fresh.keys()].reverse();
  for (let id = due.pop(); id !== undefined; id = due.pop()) {
    const old = now.get(id) as Lying;
    const { parent, level, isGroup, order } = old;
    const node = fresh.get(id) ?? old.node;
    const box = boxOf(node, parent === undefined ? undefined : now.get(parent)?.box);
    now.set(id, { node, box, parent, level, isGroup, zIndex: heightOf(node, level, isGroup), order });
    all.add(id);
    if (!isSame(box, old.box)) {
      inside.get(id)?.forEach((one) => due.push(one));
    }
  }
  knownInside.set(now, inside);
  if (all.size <= MOST_CHANGED * nodes.length) {
    derivations.set(now, { from, changed: all });
  }
  return now;
}

/** Give the nodes that have changed, by id; `null` if nodes were added or removed, or have another parent or level. */
function freshIn(nodes: readonly Node[], before: readonly Node[]): Map<string, Node> | null {
  const fresh = new Map<string, Node>();
  for (const [n, node] of nodes.entries()) {
    const old = before[n];
    if (old !== node) {
      if (old === undefined || STRUCTURE.some((name) => old[name] !== node[name])) {
        return null;
      }
      fresh.set(node.id, node);
    }
  }
  return nodes.length === before.length ? fresh : null;
}

const knownInside = new WeakMap<Arrangement, ReturnType<typeof membersOf>>();

/** List the children of each node. A derived arrangement has those of the one it was derived from. */
export function insideOf(arrangement: Arrangement): ReturnType<typeof membersOf> {
  const { from } = derivationOf(arrangement);
  const inside = knownInside.get(from) ?? membersOf(from);
  knownInside.set(from, inside);
  return inside;
}

/** Give a node's `zIndex`. A dragged node is above everything. A dragged group isn't: it would hide the edges inside it. */
function heightOf(node: Node, level: number, isGroup: boolean): number {
  return isGroup ? stackedAt(level, "group") : stackedAt(node.dragging === true ? MAX_LEVEL : level, "node");
}

function isSame(a: Box, b: Box): boolean {
  return a.x === b.x && a.y === b.y && a.width === b.width && a.height === b.height;
}

/** Give a node's box as React Flow draws it: a node bound to its parent is never drawn outside. */
function boxOf(node: Node, around: Box | undefined): Box {
  const size = sizeOf(node);
  const { x, y } = node.position;
  if (around === undefined) {
    return { x, y, ...size };
  }
  const held = (value: number, start: number, room: number, length: number): number =>
    node.extent === "parent" ? Math.min(Math.max(value, start), start + room - length) : value;
  return {
    x: held(around.x + x, around.x, around.width, size.width),
    y: held(around.y + y, around.y, around.height, size.height),
    ...size,
  };
}

/** List an arrangement's nodes from bottom to top, without those at impossible places. */
export function fromBelow(arrangement: Arrangement): Lying[] {
  return [...arrangement.values()].filter(({ box }) => isFinite(box)).toSorted((a, b) => a.zIndex - b.zIndex);
}

/** Give the box around an arrangement, with a margin. */
export function frameAround(arrangement: Arrangement, margin: number): Box {
  return frameOf(new Map(Array.from(arrangement, ([id, { box }]) => [id, box])), margin);
}

const extents = new WeakMap<Arrangement, Box>();

/** Give a box that contains the whole arrangement. It stays the same object while what moves stays within it. */
export function extentOf(arrangement: Arrangement): Box {
  const { from, changed } = derivationOf(arrangement);
  const extent = extents.get(from) ?? frameAround(from, 0);
  extents.set(from, extent);
  const moved = [...changed].map((id) => (arrangement.get(id) as Lying).box).filter((box) => isFinite(box) && !isWithin(box, extent));
  return moved.reduce(around, extent);
}
