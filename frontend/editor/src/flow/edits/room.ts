/** Where there is room: for what is new, and for copies beside what they are of. Pure functions. */

import type { Point } from "helix-flows";

import { type Box, frameOf } from "../../drawing";
import { overlaps } from "./levels";

/** The least that is left between what is added and what is there. */
export const GAP = 24;

/** How far apart places are that are tried, and how many of them in a row at most. */
const TRIED = { step: 24, most: 64 };

/** Tell whether a box lies in another as a whole. */
export function isWithin(box: Box, area: Box): boolean {
  return box.x >= area.x && box.y >= area.y && box.x + box.width <= area.x + area.width && box.y + box.height <= area.y + area.height;
}

function widened({ x, y, width, height }: Box): Box {
  return { x: x - GAP, y: y - GAP, width: width + 2 * GAP, height: height + 2 * GAP };
}

function isNear(a: Box, b: Box): boolean {
  return overlaps(widened(a), b);
}

/** List the places in an area on a lattice through a wanted one, the nearest first; below and right before above and left. */
function triedIn(area: Box, wanted: Point, { width, height }: Pick<Box, "width" | "height">): Point[] {
  const along = (want: number, start: number, length: number): number[] => {
    const step = TRIED.step * Math.max(1, Math.ceil(length / (TRIED.step * TRIED.most)));
    const first = want + Math.ceil((start - want) / step) * step;
    return Array.from({ length: Math.max(0, Math.floor((start + length - first) / step) + 1) }, (_, n) => first + n * step);
  };
  const [columns, rows] = [along(wanted.x, area.x, area.width - width), along(wanted.y, area.y, area.height - height)];
  const distance = ({ x, y }: Point): number => Math.hypot(x - wanted.x, y - wanted.y) + (x < wanted.x ? 0.25 : 0) + (y < wanted.y ? 0.5 : 0);
  return columns.flatMap((x) => rows.map((y) => ({ x, y }))).toSorted((a, b) => distance(a) - distance(b));
}

/** How many cells an area is divided into, across and down. */
const CELLS = 64;

/** Give what tells whether a box in an area would be too near to others: each looks only at those in its own cells. */
function nearness(boxes: readonly Box[], area: Box): (box: Box) => boolean {
  const size = { width: Math.max(1, area.width / CELLS), height: Math.max(1, area.height / CELLS) };
  const cells = new Map<number, Box[]>();
  const cellsOf = ({ x, y, width, height }: Box): number[] => {
    const at = (place: number, start: number, length: number): number => Math.max(0, Math.min(CELLS, Math.floor((place - start) / length)));
    const [left, right] = [at(x, area.x, size.width), at(x + width, area.x, size.width)];
    const [top, bottom] = [at(y, area.y, size.height), at(y + height, area.y, size.height)];
    const found = [];
    for (let row = top; row <= bottom; row += 1) {
      for (let column = left; column <= right; column += 1) {
        found.push(row * (CELLS + 1) + column);
      }
    }
    return found;
  };
  for (const box of boxes) {
    if (isNear(box, area)) {
      for (const cell of cellsOf(widened(box))) {
        const there = cells.get(cell);
        if (there === undefined) {
          cells.set(cell, [box]);
        } else {
          there.push(box);
        }
      }
    }
  }
  return (box) => cellsOf(box).some((cell) => cells.get(cell)?.some((one) => isNear(one, box)) === true);
}

/**
 * Find where there is room for something new, as near as can be to where it is wanted.
 *
 * @param size how large it is, in the flow's own units.
 * @param wanted where its upper left is to be.
 * @param taken what it is to hide nothing of, nor to be hidden by.
 * @param area where it is to be as a whole: what is in sight, or a group.
 * @param isOnlyThere whether there is no other place for it than the area.
 * @returns its upper left; `null` where there is room only elsewhere, and it isn't to be there.
 */
export function roomFor(size: Pick<Box, "width" | "height">, wanted: Point, taken: Iterable<Box>, area: Box, isOnlyThere = false): Point | null {
  const all = [...taken];
  const found = (within: Box): Point | undefined => {
    const isTaken = nearness(all, within);
    const isFree = (at: Point): boolean => !isTaken({ ...at, ...size });
    return isWithin({ ...wanted, ...size }, within) && isFree(wanted) ? wanted : triedIn(within, wanted, size).find(isFree);
  };
  const there = found(area);
  if (there !== undefined || isOnlyThere) {
    return there ?? null;
  }
  const whole = frameOf(new Map([...all, { ...wanted, ...size }].map((box, n) => [String(n), box])), 0);
  const [marginX, marginY] = [size.width + 2 * GAP, size.height + 2 * GAP];
  const around = { x: whole.x - marginX, y: whole.y - marginY, width: whole.width + 2 * marginX, height: whole.height + 2 * marginY };
  // Nothing is to the right of everything.
  return found(around) ?? { x: whole.x + whole.width + GAP, y: wanted.y };
}

/** How near two corners are taken for one, unless told otherwise. */
const NEAR = 8;

/**
 * Tell how far to move things: by `way`, or as many steps farther as it takes until none of them begins where
 * something else does. So copies of the same are seen beside each other.
 *
 * @param corners where they begin.
 * @param taken where all else does.
 * @param near how near two corners are taken for one.
 */
export function clearOf(corners: readonly Point[], taken: Iterable<Point>, way: Point, step: Point, near = NEAR): Point {
  const cell = ({ x, y }: Point): string => `${Math.round(x / near)} ${Math.round(y / near)}`;
  const cells = new Set([...taken].map(cell));
  let by = way;
  while (corners.some(({ x, y }) => cells.has(cell({ x: x + by.x, y: y + by.y })))) {
    by = { x: by.x + step.x, y: by.y + step.y };
  }
  return by;
}
