/** How React Flow's node changes relate to a drag or a resize. Pure functions. */

import type { NodeChange } from "@xyflow/react";

import type { PersonalNode } from "./personal.js";

/**
 * What the moves and sizes in one call by React Flow are.
 *
 * - `goes`: a drag or a resize goes on. Others see it; the document doesn't change yet.
 * - `ends`: it ends, and all of it is written to the document.
 * - `step`: changes of their own, as by arrow keys.
 * - `seen`: results of measuring. They belong to one screen: looking at a flow changes nothing.
 *
 * In the same call React Flow reports what moves or grows with a dragged node (the group that it expands,
 * and the group's other nodes), without marking it as dragged.
 */
export type Course = "goes" | "ends" | "step" | "seen";

/**
 * Classify the changes of one call.
 *
 * @param isHeld something is being dragged or resized.
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

/** Tell whether a node's place or size differs from the document's. */
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
