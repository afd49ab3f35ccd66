/** The middles of many boxes in a k-d tree, from which they can be taken by area. */

import type { Box } from "../../drawing";

/** The middle of a box, and how large that is. */
interface Middle {
  id: string;
  x: number;
  y: number;
  area: number;
}

/** A node of the tree, with the bounds of its points. */
interface Part {
  count: number;
  left: number;
  right: number;
  top: number;
  bottom: number;
  leastArea: number;
  /** Two halves, or `null` for a leaf, which has the points itself. */
  halves: [Part, Part] | null;
  points: Middle[];
}

/** The most points in a leaf. */
const FEW = 8;

/** Tell where the middle of a box is. */
export function middleOf({ x, y, width, height }: Box): { x: number; y: number } {
  return { x: x + width / 2, y: y + height / 2 };
}

/** Tell whether a point lies in a box, its border counted. */
export function isIn(box: Box, { x, y }: { x: number; y: number }): boolean {
  return x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height;
}

function partOf(points: Middle[]): Part {
  const part: Part = { count: points.length, left: Infinity, right: -Infinity, top: Infinity, bottom: -Infinity, leastArea: Infinity, halves: null, points };
  for (const { x, y, area } of points) {
    part.left = Math.min(part.left, x);
    part.right = Math.max(part.right, x);
    part.top = Math.min(part.top, y);
    part.bottom = Math.max(part.bottom, y);
    part.leastArea = Math.min(part.leastArea, area);
  }
  if (points.length > FEW) {
    const axis = part.right - part.left > part.bottom - part.top ? "x" : "y";
    const inOrder = points.toSorted((a, b) => a[axis] - b[axis]);
    const half = inOrder.length >> 1;
    part.halves = [partOf(inOrder.slice(0, half)), partOf(inOrder.slice(half))];
    part.points = [];
  }
  return part;
}

/** The middles of boxes. */
export class Middles {
  readonly #all: Part;

  /** @param boxes by id; those without finite coordinates are never found. */
  constructor(boxes: ReadonlyMap<string, Box>) {
    const points = Array.from(boxes, ([id, box]) => ({ id, ...middleOf(box), area: box.width * box.height }));
    this.#all = partOf(points.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y)));
  }

  get isEmpty(): boolean {
    return this.#all.count === 0;
  }

  /** Remove the middles inside a box whose own boxes are smaller, and give their ids. */
  takeIn(box: Box): string[] {
    const taken: string[] = [];
    take(this.#all, box, box.width * box.height, taken);
    return taken;
  }
}

function take(part: Part, box: Box, area: number, taken: string[]): void {
  const isApart = part.left > box.x + box.width || part.right < box.x || part.top > box.y + box.height || part.bottom < box.y;
  if (part.count === 0 || part.leastArea >= area || isApart) {
    return;
  }
  const before = taken.length;
  if (part.halves === null) {
    part.points = part.points.filter((point) => {
      const isTaken = point.area < area && isIn(box, point);
      if (isTaken) {
        taken.push(point.id);
      }
      return !isTaken;
    });
  } else {
    take(part.halves[0], box, area, taken);
    take(part.halves[1], box, area, taken);
  }
  part.count -= taken.length - before;
}
