/** Aligning and distributing nodes, and finding the next node in a direction. Pure functions. */

import { type FlowDocument, type JsonObject, own, type Point } from "helix-flows";

import { type Box, boxesOf } from "../../drawing";
import { placesIn } from "../../nesting";

/** Which part of the boxes is aligned. */
export type Side = "left" | "center" | "right" | "top" | "middle" | "bottom";
export type Direction = "left" | "right" | "up" | "down";
export type Axis = "x" | "y";

const isLocked = (document: FlowDocument, id: string): boolean => own(document.nodes, id)?.["draggable"] === false;

/** Give the boxes of nodes, by id. */
function chosenOf(document: FlowDocument, ids: readonly string[]): [string, Box][] {
  const boxes = boxesOf(document);
  return ids.flatMap((id) => {
    const box = boxes.get(id);
    return box === undefined ? [] : [[id, box] as [string, Box]];
  });
}

/** Give a patch that moves nodes, except locked ones. Moving parents may carry them part of the way. */
function moved(document: FlowDocument, by: ReadonlyMap<string, Partial<Point>>): JsonObject {
  const nodes: JsonObject = {};
  /** How far each node moves on the canvas. */
  const ways = new Map<string | undefined, Point>();
  for (const [id, { parent }] of placesIn(document)) {
    const node = own(document.nodes, id);
    const carried = ways.get(parent) ?? { x: 0, y: 0 };
    const wanted = by.get(id);
    if (node === undefined || wanted === undefined || isLocked(document, id)) {
      ways.set(id, carried);
      continue;
    }
    const way = { x: wanted.x ?? 0, y: wanted.y ?? 0 };
    const itsOwn = { x: way.x - carried.x, y: way.y - carried.y };
    ways.set(id, way);
    if (itsOwn.x !== 0 || itsOwn.y !== 0) {
      const position = { x: Math.round(node.position.x + itsOwn.x), y: Math.round(node.position.y + itsOwn.y) };
      // With the parent that it is relative to, which others may change meanwhile.
      nodes[id] = { position, parentId: parent ?? null };
    }
  }
  return { nodes };
}

/** Give a patch that aligns nodes with the outermost of them, or with the middle of all. */
export function inLine(document: FlowDocument, ids: readonly string[], side: Side): JsonObject {
  const chosen = chosenOf(document, ids);
  const isAcross = side === "left" || side === "center" || side === "right";
  const start = (box: Box): number => (isAcross ? box.x : box.y);
  const size = (box: Box): number => (isAcross ? box.width : box.height);
  const share = { left: 0, top: 0, center: 0.5, middle: 0.5, right: 1, bottom: 1 }[side];
  const first = chosen.reduce((least, [, box]) => Math.min(least, start(box)), Infinity);
  const last = chosen.reduce((most, [, box]) => Math.max(most, start(box) + size(box)), -Infinity);
  const line = first + (last - first) * share;
  const by = chosen.map(([id, box]) => {
    const distance = line - (start(box) + size(box) * share);
    return [id, isAcross ? { x: distance } : { y: distance }] as const;
  });
  return moved(document, new Map(by));
}

/** Give a patch that makes the gaps between nodes equal; the outermost nodes stay. */
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

/** How much a distance to the side counts, compared with one straight ahead. */
const ASIDE = 2;

/** Find the next node in a direction; without a start, the first one in reading order. */
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

/** The grid that places snap to. */
export const GRID = 8;
