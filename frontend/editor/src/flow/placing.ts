/** Where nodes go by a command: in line, evenly apart, where there is room, and which one is next in a direction. Pure functions. */

import type { FlowDocument, JsonObject, Point } from "helix-flows";

import { type Box, boxesOf, frameOf } from "../drawing";
import { placesIn } from "../nesting";

/** What of the boxes is brought in line. */
export type Side = "left" | "center" | "right" | "top" | "middle" | "bottom";
export type Direction = "left" | "right" | "up" | "down";
export type Axis = "x" | "y";

const isLocked = (document: FlowDocument, id: string): boolean => document.nodes[id]?.["draggable"] === false;

/** Give the boxes of nodes, by id. */
function chosenOf(document: FlowDocument, ids: readonly string[]): [string, Box][] {
  const boxes = boxesOf(document);
  return ids.flatMap((id) => {
    const box = boxes.get(id);
    return box === undefined ? [] : [[id, box] as [string, Box]];
  });
}

/** Give a patch that moves nodes, but for the locked ones; what they lie in may carry them part of the way. */
function moved(document: FlowDocument, by: ReadonlyMap<string, Partial<Point>>): JsonObject {
  const nodes: JsonObject = {};
  /** How far each node goes on the canvas. */
  const ways = new Map<string | undefined, Point>();
  for (const [id, { parent }] of placesIn(document)) {
    const node = document.nodes[id];
    const carried = ways.get(parent) ?? { x: 0, y: 0 };
    const wanted = by.get(id);
    if (node === undefined || wanted === undefined || isLocked(document, id)) {
      ways.set(id, carried);
      continue;
    }
    const way = { x: wanted.x ?? 0, y: wanted.y ?? 0 };
    const own = { x: way.x - carried.x, y: way.y - carried.y };
    ways.set(id, way);
    if (own.x !== 0 || own.y !== 0) {
      const position = { x: Math.round(node.position.x + own.x), y: Math.round(node.position.y + own.y) };
      // With what it is relative to, which others may change meanwhile.
      nodes[id] = { position, parentId: parent ?? null };
    }
  }
  return { nodes };
}

/** Give a patch that brings nodes in line with the outermost of them, or the middle of all. */
export function inLine(document: FlowDocument, ids: readonly string[], side: Side): JsonObject {
  const chosen = chosenOf(document, ids);
  const isAcross = side === "left" || side === "center" || side === "right";
  const start = (box: Box): number => (isAcross ? box.x : box.y);
  const size = (box: Box): number => (isAcross ? box.width : box.height);
  const share = { left: 0, top: 0, center: 0.5, middle: 0.5, right: 1, bottom: 1 }[side];
  const first = Math.min(...chosen.map(([, box]) => start(box)));
  const last = Math.max(...chosen.map(([, box]) => start(box) + size(box)));
  const line = first + (last - first) * share;
  const by = chosen.map(([id, box]) => {
    const distance = line - (start(box) + size(box) * share);
    return [id, isAcross ? { x: distance } : { y: distance }] as const;
  });
  return moved(document, new Map(by));
}

/** Give a patch that makes the gaps between nodes equal; the outermost ones stay. */
export function evenly(document: FlowDocument, ids: readonly string[], axis: Axis): JsonObject {
  const size = axis === "x" ? "width" : "height";
  const chosen = chosenOf(document, ids).toSorted(([, a], [, b]) => a[axis] - b[axis]);
  const [first, last] = [chosen.at(0)?.[1], chosen.at(-1)?.[1]];
  if (first === undefined || last === undefined || chosen.length < 3) {
    return { nodes: {} };
  }
  const taken = chosen.reduce((sum, [, box]) => sum + box[size], 0);
  const gap = (last[axis] + last[size] - first[axis] - taken) / (chosen.length - 1);
  let at = first[axis];
  const by = chosen.map(([id, box]) => {
    const distance = at - box[axis];
    at += box[size] + gap;
    return [id, { [axis]: distance }] as const;
  });
  return moved(document, new Map(by));
}

/** How much farther something is that lies aside than straight ahead. */
const ASIDE = 2;

/** Find the node that is next in a direction; from no node, the first one in reading order. */
export function nextOf(document: FlowDocument, from: string | undefined, direction: Direction): string | null {
  const boxes = boxesOf(document);
  const here = boxes.get(from ?? "");
  const isAcross = direction === "left" || direction === "right";
  const sign = direction === "left" || direction === "up" ? -1 : 1;
  let best: { id: string; distance: number } | null = null;
  for (const [id, box] of boxes) {
    const [x, y] = [box.x + box.width / 2 - (here === undefined ? 0 : here.x + here.width / 2), box.y + box.height / 2 - (here === undefined ? 0 : here.y + here.height / 2)];
    const ahead = (isAcross ? x : y) * sign;
    const isAhead = here === undefined || (id !== from && ahead > 0);
    const distance = here === undefined ? x + y : ahead + Math.abs(isAcross ? y : x) * ASIDE;
    if (isAhead && (best === null || distance < best.distance)) {
      best = { id, distance };
    }
  }
  return best?.id ?? null;
}

/** What places are multiples of, and how near two are one. */
export const GRID = 8;

/** The least that is left between what is added and what is there. */
export const GAP = 24;

/** How far apart places are that are tried, and how many of them in a row at most. */
const TRIED = { step: 24, most: 64 };

function isWithin(box: Box, area: Box): boolean {
  return box.x >= area.x && box.y >= area.y && box.x + box.width <= area.x + area.width && box.y + box.height <= area.y + area.height;
}

function isNear(a: Box, b: Box): boolean {
  return a.x < b.x + b.width + GAP && b.x < a.x + a.width + GAP && a.y < b.y + b.height + GAP && b.y < a.y + a.height + GAP;
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
      for (const cell of cellsOf({ x: box.x - GAP, y: box.y - GAP, width: box.width + 2 * GAP, height: box.height + 2 * GAP })) {
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
