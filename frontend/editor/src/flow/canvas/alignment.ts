/** Alignment guides: what a dragged node snaps to. Pure functions. */

import type { Box } from "../../drawing";

/** The snapping distance, in the flow's units. */
const REACH = 6;

/** Where a node snaps to, and the guides to show. */
export interface Alignment {
  x: number;
  y: number;
  vertical: number | null;
  horizontal: number | null;
}

/** The edges and middles of boxes, in ascending order. */
export interface Lines {
  across: Float64Array;
  down: Float64Array;
}

const across = ({ x, width }: Box): number[] => [x, x + width / 2, x + width];
const down = ({ y, height }: Box): number[] => [y, y + height / 2, y + height];

function inOrder(lines: readonly number[]): Float64Array {
  return Float64Array.from(lines.filter(Number.isFinite)).sort();
}

/** List the lines that something can snap to, once for a whole drag. */
export function linesOf(boxes: readonly Box[]): Lines {
  return { across: inOrder(boxes.flatMap(across)), down: inOrder(boxes.flatMap(down)) };
}

/** Count the numbers below a limit, by binary search. */
function countBelow(numbers: Float64Array, limit: number): number {
  let [low, high] = [0, numbers.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((numbers[middle] ?? limit) < limit) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

function nearest(own: readonly number[], lines: Float64Array): { by: number; line: number } | null {
  let best: { by: number; line: number } | null = null;
  for (const at of own) {
    const next = countBelow(lines, at);
    for (const line of [lines[next - 1], lines[next]]) {
      const by = (line ?? Infinity) - at;
      if (line !== undefined && Math.abs(by) <= REACH && (best === null || Math.abs(by) < Math.abs(best.by))) {
        best = { by, line };
      }
    }
  }
  return best;
}

/** Snap a box to the edges and middles of others. */
export function align(box: Box, lines: Lines): Alignment {
  const vertical = nearest(across(box), lines.across);
  const horizontal = nearest(down(box), lines.down);
  return {
    x: box.x + (vertical?.by ?? 0),
    y: box.y + (horizontal?.by ?? 0),
    vertical: vertical?.line ?? null,
    horizontal: horizontal?.line ?? null,
  };
}
