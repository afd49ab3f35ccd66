/** Where edges run, as React Flow draws them. */

import { getBezierPath, getSmoothStepPath, getStraightPath, Position } from "@xyflow/react";

import type { Box, EdgeLine } from "../drawing";

/** Give an edge's line, and where its label is. */
export function lineOf(type: unknown, from: Box, to: Box): EdgeLine {
  const ends = {
    sourceX: from.x + from.width,
    sourceY: from.y + from.height / 2,
    sourcePosition: Position.Right,
    targetX: to.x,
    targetY: to.y + to.height / 2,
    targetPosition: Position.Left,
  };
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
