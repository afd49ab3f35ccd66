/** How the nodes lie that React Flow could be given: where, in whom, above whom. Pure functions. */

import type { Node } from "@xyflow/react";

import { type Box, frameOf, isFinite, sizeOf } from "../../drawing";
import { GROUP, MAX_LEVEL, nestingOf, type Place } from "../../nesting";
import { stackedAt } from "../../stacking";

/** A node, and how it lies. */
export interface Lying extends Pick<Place, "parent" | "level"> {
  node: Node;
  /** Where it is drawn on the canvas. */
  box: Box;
  isGroup: boolean;
  /** What has more is drawn above. */
  zIndex: number;
}

/** Nodes by id, those that others lie in first. */
export type Arrangement = ReadonlyMap<string, Lying>;

const known = new WeakMap<readonly Node[], Arrangement>();

/** Tell how nodes lie; the list never changes in place. */
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
    // What one drags hides behind nothing; the edges in a group that one drags would behind that.
    const zIndex = isGroup ? stackedAt(level, "group") : stackedAt(node.dragging === true ? MAX_LEVEL : level, "node");
    const box = boxOf(node, parent === undefined ? undefined : arrangement.get(parent)?.box);
    arrangement.set(id, { node, box, parent, level, isGroup, zIndex });
  }
  known.set(nodes, arrangement);
  return arrangement;
}

/** Tell where React Flow draws a node: what is held in another is never drawn outside of it. */
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

/** List what is drawn of an arrangement, from below; what lies nowhere that can be told is left out. */
export function fromBelow(arrangement: Arrangement): Lying[] {
  return [...arrangement.values()].filter(({ box }) => isFinite(box)).toSorted((a, b) => a.zIndex - b.zIndex);
}

/** Give the box around all of an arrangement, with a margin. */
export function frameAround(arrangement: Arrangement, margin: number): Box {
  return frameOf(new Map(Array.from(arrangement, ([id, { box }]) => [id, box])), margin);
}
