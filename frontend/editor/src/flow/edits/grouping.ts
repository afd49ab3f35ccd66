/** Into groups, out of them, and what becomes of a group with that: patches of a document. Pure functions. */

import { type FlowDocument, type FlowNode, type JsonObject, own, type Point } from "helix-flows";

import { type Box, boxesOf, frameOf, sizeOf } from "../../drawing";
import { ancestorsOf, GROUP, groupsIn, innermostAround, MAX_LEVEL, outermost, type Place, placesIn, withInside } from "../../nesting";
import { randomId } from "../../person";
import { overlaps } from "./levels";
import type { Addition } from "./parts";
import { clearOf } from "./room";

/** What is left between a group's border and what lies in it; above, its name has room. */
export const PADDING = 24;
export const HEADING = 56;

/** Give the change by which a node lies in another, or in none, at a place on the canvas. */
function laid(node: FlowNode, at: Point, parent: string | undefined, places: ReadonlyMap<string, Place>): JsonObject {
  const { x, y } = places.get(parent ?? "") ?? { x: 0, y: 0 };
  const bound = ["extent", "expandParent"].filter((name) => own(node, name) !== undefined);
  return {
    position: { x: at.x - x, y: at.y - y },
    parentId: parent ?? null,
    // These bound it to the one that it lay in.
    ...Object.fromEntries(places.get(node.id)?.parent === parent ? [] : bound.map((name) => [name, null])),
  };
}

function nodeOf(document: FlowDocument, id: string): FlowNode {
  return own(document.nodes, id) as FlowNode;
}

/** Give the box around nodes. */
function around(ids: readonly string[], boxes: ReadonlyMap<string, Box>): Box {
  return frameOf(new Map(ids.flatMap((id) => (boxes.has(id) ? [[id, boxes.get(id) as Box]] : []))), 0);
}

/** Put a group around nodes, in the innermost that all of them lie in; `null` where there are none. */
export function grouped(document: FlowDocument, ids: readonly string[]): Addition | null {
  const places = placesIn(document);
  const outer = outermost(ids, places).filter((id) => places.has(id));
  const [first] = outer;
  if (first === undefined) {
    return null;
  }
  const parent = innermostAround(outer, places);
  const boxes = boxesOf(document, places);
  const frame = around(outer, boxes);
  const [left, top] = [Math.floor(frame.x - PADDING), Math.floor(frame.y - HEADING)];
  const box = { x: left, y: top, width: Math.ceil(frame.x + frame.width + PADDING) - left, height: Math.ceil(frame.y + frame.height + PADDING) - top };
  const inside = withInside(outer, places);
  const above = new Set(parent === undefined ? [] : [parent, ...ancestorsOf(parent, places)]);
  const covered = [...boxes].filter(([id, one]) => !inside.has(id) && !above.has(id) && overlaps(one, box)).map(([id]) => places.get(id)?.level ?? 0);
  // It hides nothing that was there.
  const level = Math.max(-MAX_LEVEL, Math.min(0, ...covered.map((one) => one - 1)));
  const id = randomId();
  const origin = places.get(parent ?? "") ?? { x: 0, y: 0 };
  const group = {
    id,
    type: GROUP,
    position: { x: left - origin.x, y: top - origin.y },
    width: box.width,
    height: box.height,
    data: { label: "Group" },
    ...(parent === undefined ? {} : { parentId: parent }),
    ...(level === 0 ? {} : { zIndex: level }),
  };
  const within = new Map(places).set(id, { x: left, y: top, parent, level });
  const members = outer.map((one) => [one, laid(nodeOf(document, one), places.get(one) as Place, id, within)] as const);
  return { patch: { nodes: { ...Object.fromEntries(members), [id]: group } }, ids: [id] };
}

/** Take groups away; what lies in one lies in what that lay in, where it is seen. `null` where none of them is a group. */
export function ungrouped(document: FlowDocument, ids: readonly string[]): Addition | null {
  const places = placesIn(document);
  const groups = groupsIn(document);
  const gone = new Set(ids.filter((id) => groups.has(id)));
  if (gone.size === 0) {
    return null;
  }
  const freed = [...places].filter(([id, { parent }]) => parent !== undefined && gone.has(parent) && !gone.has(id)).map(([id]) => id);
  /** In whom lies what lay in groups that go. */
  const outside = new Map<string | undefined, string | undefined>();
  for (const [id, { parent }] of places) {
    if (gone.has(id)) {
      // Who lies in another is listed after that one.
      outside.set(id, outside.has(parent) ? outside.get(parent) : parent);
    }
  }
  const nodes = freed.map((id) => {
    const parent = outside.get(places.get(id)?.parent);
    return [id, laid(nodeOf(document, id), places.get(id) as Place, parent, places)] as const;
  });
  return { patch: { nodes: { ...Object.fromEntries(nodes), ...Object.fromEntries([...gone].map((id) => [id, null])) } }, ids: freed };
}

/** List the groups that nodes can be moved into. */
export function groupsBeside(document: FlowDocument, ids: readonly string[]): string[] {
  const groups = groupsIn(document);
  if (groups.size === 0 || ids.length === 0) {
    return [];
  }
  const places = placesIn(document);
  const outer = outermost(ids, places).filter((id) => places.has(id));
  const inside = withInside(outer, places);
  return [...groups].filter((group) => !inside.has(group) && outer.some((id) => places.get(id)?.parent !== group));
}

/** List the groups that nodes can be moved into, the nearest first. */
export function groupsFor(document: FlowDocument, ids: readonly string[]): string[] {
  const places = placesIn(document);
  const boxes = boxesOf(document, places);
  const outer = outermost(ids, places).filter((id) => places.has(id));
  const { x, y, width, height } = around(outer, boxes);
  const distance = (id: string): number => {
    const box = boxes.get(id) as Box;
    const aside = (start: number, length: number, from: number, room: number): number => Math.max(0, from - start - length, start - from - room);
    return Math.hypot(aside(x, width, box.x, box.width), aside(y, height, box.y, box.height));
  };
  const depths = depthsOf(places);
  const found = groupsBeside(document, ids).map((id) => ({ id, distance: distance(id), depth: depths.get(id) ?? 0 }));
  // Of those that are as near, the innermost.
  return found.toSorted((a, b) => a.distance - b.distance || b.depth - a.depth).map(({ id }) => id);
}

/** Tell how many nodes each lies in. */
function depthsOf(places: ReadonlyMap<string, Place>): Map<string, number> {
  const depths = new Map<string, number>();
  // Who lies in another is listed after that one.
  places.forEach(({ parent }, id) => depths.set(id, parent === undefined ? 0 : (depths.get(parent) ?? 0) + 1));
  return depths;
}

/** Move nodes into a group, as few steps as can be, so that they are seen there; the group grows where it takes that. */
export function movedInto(document: FlowDocument, ids: readonly string[], group: string): JsonObject {
  const places = placesIn(document);
  const boxes = boxesOf(document, places);
  const above = new Set([group, ...ancestorsOf(group, places)]);
  const moving = outermost(ids, places).filter((id) => places.has(id) && !above.has(id) && places.get(id)?.parent !== group);
  const box = boxes.get(group);
  if (box === undefined || moving.length === 0) {
    return { nodes: {} };
  }
  const frame = around(moving, boxes);
  const into = (start: number, length: number, from: number, to: number): number => Math.max(from, Math.min(start, to - length));
  const x = into(frame.x, frame.width, box.x + PADDING, box.x + box.width - PADDING);
  const y = into(frame.y, frame.height, box.y + HEADING, box.y + box.height - PADDING);
  const by = beside(moving, { x: x - frame.x, y: y - frame.y }, boxes, places);
  const [right, bottom] = [frame.x + by.x + frame.width + PADDING, frame.y + by.y + frame.height + PADDING];
  const [width, height] = [Math.max(box.width, Math.ceil(right - box.x)), Math.max(box.height, Math.ceil(bottom - box.y))];
  const grown = width === box.width && height === box.height ? {} : { [group]: { width, height } };
  return { nodes: { ...laidBy(document, moving, by, () => group), ...grown } };
}

/** Move nodes out of what they lie in, to the right of that; `null` where none of them lies in another. */
export function movedOut(document: FlowDocument, ids: readonly string[]): JsonObject | null {
  const places = placesIn(document);
  const boxes = boxesOf(document, places);
  const moving = outermost(ids, places).filter((id) => places.get(id)?.parent !== undefined);
  if (moving.length === 0) {
    return null;
  }
  const left = new Set(moving.map((id) => places.get(id)?.parent as string));
  const edge = Math.max(...[...left].map((id) => (boxes.get(id)?.x ?? 0) + (boxes.get(id)?.width ?? 0)));
  const way = { x: Math.max(0, Math.ceil(edge + PADDING - around(moving, boxes).x)), y: 0 };
  const outside = (id: string): string | undefined => places.get(places.get(id)?.parent ?? "")?.parent;
  return { nodes: laidBy(document, moving, beside(moving, way, boxes, places), outside) };
}

/** Move what is on its way a bit farther until it covers nothing of the same place. */
function beside(moving: readonly string[], way: Point, boxes: ReadonlyMap<string, Box>, places: ReadonlyMap<string, Place>): Point {
  const inside = withInside(moving, places);
  const others = [...boxes].filter(([id]) => !inside.has(id)).map(([, box]) => box);
  const isMoving = way.x !== 0 || way.y !== 0;
  return isMoving ? clearOf(moving.map((id) => boxes.get(id) as Box), others, way, { x: 0, y: PADDING }, PADDING) : way;
}

function laidBy(document: FlowDocument, ids: readonly string[], by: Point, parentOf: (id: string) => string | undefined): JsonObject {
  const places = placesIn(document);
  return Object.fromEntries(
    ids.map((id) => {
      const { x, y } = places.get(id) as Place;
      return [id, laid(nodeOf(document, id), { x: x + by.x, y: y + by.y }, parentOf(id), places)];
    }),
  );
}

/** Tell whether a node can't leave what it lies in by being dragged. */
function isHeld(node: FlowNode): boolean {
  return node["extent"] === "parent" || node["expandParent"] === true;
}

function hasMiddleOf(group: Box, { x, y, width, height }: Box): boolean {
  const [middleX, middleY] = [x + width / 2, y + height / 2];
  return middleX >= group.x && middleX <= group.x + group.width && middleY >= group.y && middleY <= group.y + group.height;
}

const known = new WeakMap<FlowDocument["nodes"], readonly (readonly [string, Box])[]>();

/** List where the groups of a document are, from below. */
function groupBoxesIn(document: FlowDocument): readonly (readonly [string, Box])[] {
  const groups = groupsIn(document);
  const boxes = known.get(document.nodes) ?? (groups.size === 0 ? [] : [...boxesOf(document)].filter(([id]) => groups.has(id)));
  known.set(document.nodes, boxes);
  return boxes;
}

/**
 * Find the group that a box lies in by its middle: of several, the one that is seen there.
 *
 * @param moved nodes that lie in none of themselves.
 */
export function groupAt(document: FlowDocument, box: Box, moved: ReadonlySet<string> = new Set()): string | undefined {
  const isLarger = (one: Box): boolean => one.width * one.height > box.width * box.height;
  return groupBoxesIn(document).findLast(([id, one]) => !moved.has(id) && isLarger(one) && hasMiddleOf(one, box))?.[0];
}

/**
 * Tell which nodes that are dragged will lie in another group than they do, and in which; `undefined` for in none.
 *
 * @param dragged where they are dragged to on the canvas.
 */
export function goingInto(document: FlowDocument, dragged: ReadonlyMap<string, Box>): Map<string, string | undefined> {
  const going = new Map<string, string | undefined>();
  if (groupsIn(document).size === 0) {
    return going;
  }
  const places = placesIn(document);
  const moved = withInside(dragged.keys(), places);
  const wasBeside = (id: string, group: string): boolean => {
    const boxOf = (one: string): Box => ({ ...(places.get(one) as Place), ...sizeOf(nodeOf(document, one)) });
    return !hasMiddleOf(boxOf(group), boxOf(id));
  };
  for (const [id, box] of dragged) {
    const place = places.get(id);
    if (place === undefined || isHeld(nodeOf(document, id))) {
      continue;
    }
    const { parent } = place;
    const group = groupAt(document, box, moved);
    // What lay beside its group all the time doesn't leave it by that.
    if (group !== parent && (group !== undefined || parent === undefined || !wasBeside(id, parent))) {
      going.set(id, group);
    }
  }
  return going;
}
