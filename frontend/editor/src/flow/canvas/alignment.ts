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

function nearest(own: number[], others: number[]): { by: number; line: number } | null {
  let best: { by: number; line: number } | null = null;
  for (const line of others) {
    for (const at of own) {
      const by = line - at;
      if (Math.abs(by) <= REACH && (best === null || Math.abs(by) < Math.abs(best.by))) {
        best = { by, line };
      }
    }
  }
  return best;
}

const across = ({ x, width }: Box): number[] => [x, x + width / 2, x + width];
const down = ({ y, height }: Box): number[] => [y, y + height / 2, y + height];

/** Snap a box to the edges and middles of others. */
export function align(box: Box, others: readonly Box[]): Alignment {
  const vertical = nearest(across(box), others.flatMap(across));
  const horizontal = nearest(down(box), others.flatMap(down));
  return {
    x: box.x + (vertical?.by ?? 0),
    y: box.y + (horizontal?.by ?? 0),
    vertical: vertical?.line ?? null,
    horizontal: horizontal?.line ?? null,
  };
}
