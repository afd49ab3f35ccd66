/** Paths of edges, as React Flow draws them. */

import { getSmoothStepPath, getStraightPath, Position } from "@xyflow/react";

import { type Box, curveBetween, type EdgeLine } from "../../drawing";

interface Ends {
  sourceX: number;
  sourceY: number;
  sourcePosition: Position;
  targetX: number;
  targetY: number;
  targetPosition: Position;
}

/** The distance between straight lines with the same ends. */
const LANE = 14;

/** Give the line of an edge in a lane (`lanesIn`), and its label's place. */
export function lineBetween(type: unknown, { sourceX, sourceY, sourcePosition, targetX, targetY, targetPosition }: Ends, lane = 0): EdgeLine {
  const aside = lane * LANE;
  const ends = { sourceX, sourceY: sourceY + aside, sourcePosition, targetX, targetY: targetY + aside, targetPosition };
  // The upper lane turns down last, and up first, so that lanes don't cross.
  const turn = (sourceX + targetX) / 2 + (targetY > sourceY ? -aside : aside);
  const steps = targetX > sourceX ? { ...ends, centerX: turn } : ends;
  const give = ([path, x, y]: [string, number, number, ...number[]]): EdgeLine => ({ path, x, y });
  switch (type) {
    case "straight":
      return give(getStraightPath(ends));
    case "step":
      return give(getSmoothStepPath({ ...steps, borderRadius: 0 }));
    case "smoothstep":
      return give(getSmoothStepPath(steps));
    default:
      return curveBetween([sourceX, sourceY], [targetX, targetY], lane);
  }
}

/** Give an edge's line between two nodes, and its label's place. */
export function lineOf(type: unknown, from: Box, to: Box, lane = 0): EdgeLine {
  return lineBetween(type, {
    sourceX: from.x + from.width,
    sourceY: from.y + from.height / 2,
    sourcePosition: Position.Right,
    targetX: to.x,
    targetY: to.y + to.height / 2,
    targetPosition: Position.Left,
  }, lane);
}
