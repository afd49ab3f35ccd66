/** Which of many boxes can be told apart in a small picture. Pure functions. */

import type { Box } from "../drawing";

/** The most boxes, and the most edges, that are drawn. */
export const MOST = 500;

/** Cells along each side of the picture at first: smaller ones can't be seen. */
const CELLS = 128;

/**
 * Give the boxes that can be told apart in a picture of a frame: of those with their corners in the same cells, the
 * topmost. The cells are as small as they can be for at most `MOST` boxes.
 *
 * @param boxes by id, from bottom to top.
 */
export function seenOf(boxes: ReadonlyMap<string, Box>, frame: Box): ReadonlyMap<string, Box> {
  let seen = boxes;
  for (let cells = CELLS; seen.size > MOST; cells /= 2) {
    seen = apart(boxes, frame, cells);
  }
  return seen;
}

function apart(boxes: ReadonlyMap<string, Box>, frame: Box, cells: number): ReadonlyMap<string, Box> {
  const cellOf = (at: number, start: number, length: number): number => Math.max(0, Math.min(Math.ceil(cells) - 1, Math.floor(((at - start) / length) * cells)));
  const above = new Map<string, string>();
  for (const [id, { x, y, width, height }] of boxes) {
    const [left, right] = [x, x + width].map((at) => cellOf(at, frame.x, frame.width));
    const [top, bottom] = [y, y + height].map((at) => cellOf(at, frame.y, frame.height));
    above.set(`${left} ${top} ${right} ${bottom}`, id);
  }
  const ids = new Set(above.values());
  return new Map([...boxes].filter(([id]) => ids.has(id)));
}
