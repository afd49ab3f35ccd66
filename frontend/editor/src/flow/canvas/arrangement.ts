/** The arrangement of all nodes: places, parents and drawing levels. Pure functions. */

import type { Node } from "@xyflow/react";

import { type Box, frameOf, isFinite, sizeOf } from "../../drawing";
import { GROUP, MAX_LEVEL, nestingOf, type Place } from "../../nesting";
import { stackedAt } from "../../stacking";

/** A node with its place, parent and level. */
export interface Lying extends Pick<Place, "parent" | "level"> {
  node: Node;
  /** Its box on the canvas. */
  box: Box;
  isGroup: boolean;
  /** Higher values are drawn above. */
  zIndex: number;
}

/** Nodes by id, parents before children. */
export type Arrangement = ReadonlyMap<string, Lying>;

const known = new WeakMap<readonly Node[], Arrangement>();

/** Give the arrangement of nodes. The list never changes in place. */
export function arrangementOf(nodes: readonly Node[]): Arrangement {
  const before = known.get(nodes);
  if (before !== undefined) {
    return before;
  }
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
    // A dragged node is above everything. A dragged group isn't: it would hide the edges inside it.
    const zIndex = isGroup ? stackedAt(level, "group") : stackedAt(node.dragging === true ? MAX_LEVEL : level, "node");
    const box = boxOf(node, parent === undefined ? undefined : arrangement.get(parent)?.box);
    arrangement.set(id, { node, box, parent, level, isGroup, zIndex });
  }
  known.set(nodes, arrangement);
  return arrangement;
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
