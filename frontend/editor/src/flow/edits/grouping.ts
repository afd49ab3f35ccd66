/** Patches that group, ungroup, and move nodes into and out of groups. Pure functions. */

import { type FlowDocument, type FlowNode, type JsonObject, own, type Point } from "helix-flows";

import { type Box, boxesOf, frameOf } from "../../drawing";
import { ancestorsOf, GROUP, groupsIn, innermostAround, MAX_LEVEL, outermost, type Place, placesIn, withInside } from "../../nesting";
import { randomId } from "../../person";
import { overlaps } from "./levels";
import type { Addition } from "./parts";
import { clearOf } from "./room";

/** The space between a group's border and its contents; at the top there is room for its name. */
export const PADDING = 24;
export const HEADING = 56;

/** Give the change that puts a node into a parent, or into none, at a place on the canvas. */
function laid(node: FlowNode, at: Point, parent: string | undefined, places: ReadonlyMap<string, Place>): JsonObject {
  const { x, y } = places.get(parent ?? "") ?? { x: 0, y: 0 };
  const bound = ["extent", "expandParent"].filter((name) => own(node, name) !== undefined);
  return {
    position: { x: at.x - x, y: at.y - y },
    parentId: parent ?? null,
    // These bound it to its old parent.
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

/** Put a group around nodes, inside their innermost common group; `null` if there are no nodes. */
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
  // The group hides nothing.
  const level = Math.max(-MAX_LEVEL, covered.reduce((lowest, one) => Math.min(lowest, one - 1), 0));
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

/** Remove groups. Their contents move to the groups' parents, without moving visibly. `null` if there is no group. */
export function ungrouped(document: FlowDocument, ids: readonly string[]): Addition | null {
  const places = placesIn(document);
  const groups = groupsIn(document);
  const gone = new Set(ids.filter((id) => groups.has(id)));
  if (gone.size === 0) {
    return null;
  }
  const freed = [...places].filter(([id, { parent }]) => parent !== undefined && gone.has(parent) && !gone.has(id)).map(([id]) => id);
  /** The new parents of the contents of removed groups. */
  const outside = new Map<string | undefined, string | undefined>();
  for (const [id, { parent }] of places) {
    if (gone.has(id)) {
      // Children are listed after their parents.
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
  // Among equally near ones, the innermost.
  return found.toSorted((a, b) => a.distance - b.distance || b.depth - a.depth).map(({ id }) => id);
}

/** Give the nesting depth of each node. */
function depthsOf(places: ReadonlyMap<string, Place>): Map<string, number> {
  const depths = new Map<string, number>();
  // Children are listed after their parents.
  places.forEach(({ parent }, id) => depths.set(id, parent === undefined ? 0 : (depths.get(parent) ?? 0) + 1));
  return depths;
}

/** Move nodes into a group, as little as possible, so that they are visible there. The group grows if necessary. */
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

/** Move nodes out of their groups, to the right of these; `null` if none lies in a group. */
export function movedOut(document: FlowDocument, ids: readonly string[]): JsonObject | null {
  const places = placesIn(document);
  const boxes = boxesOf(document, places);
  const moving = outermost(ids, places).filter((id) => places.get(id)?.parent !== undefined);
  if (moving.length === 0) {
    return null;
  }
  const left = new Set(moving.map((id) => places.get(id)?.parent as string));
  const outer = around([...left], boxes);
  const edge = outer.x + outer.width;
  const way = { x: Math.max(0, Math.ceil(edge + PADDING - around(moving, boxes).x)), y: 0 };
  const outside = (id: string): string | undefined => places.get(places.get(id)?.parent ?? "")?.parent;
  return { nodes: laidBy(document, moving, beside(moving, way, boxes, places), outside) };
}

/** Move nodes a bit farther until none covers another node at the same place. */
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
