/** Finds free space for new nodes, and for copies beside their originals. Pure functions. */

import type { Point } from "helix-flows";

import { type Box, frameOf } from "../../drawing";
import { overlaps } from "./levels";

/** The least gap between added and existing nodes. */
export const GAP = 24;

/** The distance between tried places, and the most in a row. */
const TRIED = { step: 24, most: 64 };

/** Tell whether a box lies completely in another. */
export function isWithin(box: Box, area: Box): boolean {
  return box.x >= area.x && box.y >= area.y && box.x + box.width <= area.x + area.width && box.y + box.height <= area.y + area.height;
}

function widened({ x, y, width, height }: Box): Box {
  return { x: x - GAP, y: y - GAP, width: width + 2 * GAP, height: height + 2 * GAP };
}

function isNear(a: Box, b: Box): boolean {
  return overlaps(widened(a), b);
}

/** List an area's places on a lattice through a wanted one, nearest first; below and right before above and left. */
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

/** The cells of an area in each direction, with those at its end. */
const CELLS = 64;
const CELLS_IN_ALL = (CELLS + 1) ** 2;

/** Give a test whether a box is too near to others. It looks only at those in the box's cells. */
function nearness(boxes: readonly Box[], area: Box): (box: Box) => boolean {
  const size = { width: Math.max(1, area.width / CELLS), height: Math.max(1, area.height / CELLS) };
  const cells = new Map<number, Box[]>();
  /** Cells that one box fills: others there make no difference. */
  const full = new Uint8Array(CELLS_IN_ALL);
  const isFilled = (row: number, column: number, by: Box): boolean =>
    isWithin({ x: area.x + column * size.width, y: area.y + row * size.height, ...size }, by);
  /** Go through a box's cells, until one is found. */
  const someCell = ({ x, y, width, height }: Box, isFound: (cell: number, row: number, column: number) => boolean): boolean => {
    const at = (place: number, start: number, length: number): number => Math.max(0, Math.min(CELLS, Math.floor((place - start) / length)));
    const [left, right] = [at(x, area.x, size.width), at(x + width, area.x, size.width)];
    const [top, bottom] = [at(y, area.y, size.height), at(y + height, area.y, size.height)];
    for (let row = top; row <= bottom; row += 1) {
      for (let column = left; column <= right; column += 1) {
        if (isFound(row * (CELLS + 1) + column, row, column)) {
          return true;
        }
      }
    }
    return false;
  };
  for (const box of boxes.filter((one) => isNear(one, area))) {
    const wide = widened(box);
    someCell(wide, (cell, row, column) => {
      if (full[cell] === 1) {
        return false;
      }
      const there = cells.get(cell);
      if (isFilled(row, column, wide)) {
        full[cell] = 1;
        cells.set(cell, [box]);
      } else if (there === undefined) {
        cells.set(cell, [box]);
      } else {
        there.push(box);
      }
      return false;
    });
  }
  return (box) => someCell(box, (cell) => cells.get(cell)?.some((one) => isNear(one, box)) === true);
}

/**
 * Find free space for something new, as near as possible to the wanted place.
 *
 * @param size its size, in the flow's units.
 * @param wanted the wanted upper left corner.
 * @param taken boxes that it must not overlap.
 * @param area the area that should contain it: the visible part, or a group.
 * @param isOnlyThere whether it must be in the area.
 * @returns its upper left corner; `null` if there is no space in the area and it must be there.
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
  // To the right of everything there is always space.
  return found(around) ?? { x: whole.x + whole.width + GAP, y: wanted.y };
}

/** The distance below which two corners count as one, by default. */
const NEAR = 8;

/** The steps after which each step is twice as long: no row of nodes, however long, takes many more. */
const EVEN_STEPS = 200;

/**
 * Give how far to move things: by `way`, plus as many steps as needed until no corner coincides with another.
 * So several copies of one thing are visible beside each other.
 *
 * @param corners their corners.
 * @param taken all other corners.
 * @param near the distance below which two corners count as one.
 */
export function clearOf(corners: readonly Point[], taken: Iterable<Point>, way: Point, step: Point, near = NEAR): Point {
  const cell = ({ x, y }: Point): string => `${Math.round(x / near)} ${Math.round(y / near)}`;
  const cells = new Set([...taken].map(cell));
  let by = way;
  let stride = 1;
  for (let steps = 1; corners.some(({ x, y }) => cells.has(cell({ x: x + by.x, y: y + by.y }))); steps += 1) {
    stride *= steps > EVEN_STEPS ? 2 : 1;
    by = { x: by.x + stride * step.x, y: by.y + stride * step.y };
  }
  return by;
}
