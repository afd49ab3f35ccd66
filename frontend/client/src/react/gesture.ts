/** How what React Flow tells of nodes stands to a drag or a resize. Pure functions. */

import type { NodeChange } from "@xyflow/react";

import type { PersonalNode } from "./personal.js";

/**
 * What the moves and sizes of one call of React Flow are.
 *
 * - `goes`: of a drag or a resize that goes on: shown to others, and nobody's yet.
 * - `ends`: the last of it, with which all of it becomes the document's.
 * - `step`: changes by themselves, as by arrow keys.
 * - `seen`: what follows from measuring. It is of one screen, and whoever looks at a flow changes nothing.
 *
 * React Flow tells of what moves or grows with a dragged node (the group that it expands, and what else lies
 * in that) in the same call, without saying that it is dragged.
 */
export type Course = "goes" | "ends" | "step" | "seen";

/**
 * Tell what the changes of one call are.
 *
 * @param isHeld something is dragged or resized at the moment.
 */
export function courseOf(changes: readonly NodeChange[], isHeld: boolean): Course {
  if (changes.some(isGoing)) {
    return "goes";
  }
  if (isHeld) {
    return changes.some(isEnding) ? "ends" : "goes";
  }
  return changes.some(isMeasured) ? "seen" : "step";
}

/** Tell whether a node is somewhere else, or of another size, than the document says. */
export function isHolding(personal: PersonalNode | undefined): boolean {
  const { dragging, resizing, position, width, height } = personal ?? {};
  return dragging === true || resizing === true || (position ?? width ?? height) !== undefined;
}

function isGoing(change: NodeChange): boolean {
  return change.type === "position"
    ? change.dragging === true
    : change.type === "dimensions" && change.resizing === true;
}

function isEnding(change: NodeChange): boolean {
  return change.type === "position"
    ? change.dragging === false
    : change.type === "dimensions" && change.resizing === false;
}

function isMeasured(change: NodeChange): boolean {
  return change.type === "dimensions" && !change.setAttributes && change.resizing === undefined;
}
