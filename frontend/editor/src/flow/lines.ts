/** Where edges run, as React Flow draws them. */

import { getBezierPath, getSmoothStepPath, getStraightPath, Position } from "@xyflow/react";

import type { Box, EdgeLine } from "../drawing";

interface Ends {
  sourceX: number;
  sourceY: number;
  sourcePosition: Position;
  targetX: number;
  targetY: number;
  targetPosition: Position;
}

/** Give the line of an edge of some shape, and where its label is. */
export function lineBetween(type: unknown, { sourceX, sourceY, sourcePosition, targetX, targetY, targetPosition }: Ends): EdgeLine {
  const ends = { sourceX, sourceY, sourcePosition, targetX, targetY, targetPosition };
  const give = (): [string, number, number, ...number[]] => {
    switch (type) {
      case "straight":
        return getStraightPath(ends);
      case "step":
        return getSmoothStepPath({ ...ends, borderRadius: 0 });
      case "smoothstep":
        return getSmoothStepPath(ends);
      default:
        return getBezierPath(ends);
    }
  };
  const [path, x, y] = give();
  return { path, x, y };
}

/** Give an edge's line between two nodes, and where its label is. */
export function lineOf(type: unknown, from: Box, to: Box): EdgeLine {
  return lineBetween(type, {
    sourceX: from.x + from.width,
    sourceY: from.y + from.height / 2,
    sourcePosition: Position.Right,
    targetX: to.x,
    targetY: to.y + to.height / 2,
    targetPosition: Position.Left,
  });
}
