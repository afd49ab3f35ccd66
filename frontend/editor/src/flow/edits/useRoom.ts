/** Places for new nodes: beside the selection, or in the visible part. */

import { useReactFlow } from "@xyflow/react";
import type { FlowDocument, Point } from "helix-flows";

import { type Box, boxesOf, frameOf } from "../../drawing";
import { groupsIn, placesIn } from "../../nesting";
import { freeArea, glide, MIN_ZOOM, viewOf } from "../canvas/fit";
import { HEADING } from "./grouping";
import { overlaps } from "./levels";
import { GRID } from "./placing";
import { GAP, roomFor } from "./room";

/** The distance of new nodes from the selection: an edge between them is visible. */
const BESIDE = 48;

/** A place on the canvas for something new, and its group; `undefined` for none. */
export interface Room extends Point {
  parent: string | undefined;
}

export interface Rooms {
  /** Find space for a new node beside the selected ones, in the group that one of them is or lies in. */
  beside: (size: Pick<Box, "width" | "height">, selected: readonly string[]) => Room;
  /** Find space for a part in the middle of the view, or as near to it as possible. */
  inSight: (size: Pick<Box, "width" | "height">) => Point;
  /** Move the canvas until a box is visible, and zoom out if it is too large. */
  show: (box: Box) => void;
}

/** Give the boxes of nodes, except the groups that will contain something new. */
function takenOf(document: FlowDocument, boxes: ReadonlyMap<string, Box>, parent: string | undefined): Box[] {
  const around = new Set<string>();
  const places = placesIn(document);
  for (let id = parent; id !== undefined; id = places.get(id)?.parent) {
    around.add(id);
  }
  return [...boxes].filter(([id]) => !around.has(id)).map(([, box]) => box);
}

/** Find free space on the canvas. */
export function useRoom(document: FlowDocument | null): Rooms {
  const { screenToFlowPosition, getViewport, setViewport } = useReactFlow();
  const seen = (): Box => {
    const stage = window.document.querySelector(".stage")?.getBoundingClientRect() ?? new DOMRect();
    const free = freeArea();
    const { x, y } = screenToFlowPosition({ x: stage.left + free.x, y: stage.top + free.y }, { snapToGrid: false });
    const { zoom } = getViewport();
    return { x: x + GAP, y: y + GAP, width: free.width / zoom - 2 * GAP, height: free.height / zoom - 2 * GAP };
  };
  const onGrid = (place: Point): Point => ({ x: Math.round(place.x / GRID) * GRID, y: Math.round(place.y / GRID) * GRID });
  const middle = (area: Box, { width, height }: Pick<Box, "width" | "height">): Point =>
    onGrid({ x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2 });

  return {
    beside: (size, selected) => {
      const area = seen();
      if (document === null) {
        return { ...middle(area, size), parent: undefined };
      }
      const boxes = boxesOf(document);
      const [only] = selected.length === 1 ? selected : [];
      const group = only === undefined ? undefined : groupsIn(document).has(only) ? only : placesIn(document).get(only)?.parent;
      const chosen = frameOf(new Map(selected.flatMap((id) => (boxes.has(id) ? [[id, boxes.get(id) as Box]] : []))), 0);
      const isAnchored = selected.some((id) => boxes.has(id)) && overlaps(chosen, area);
      const next = onGrid({ x: chosen.x + chosen.width + BESIDE, y: chosen.y + (chosen.height - size.height) / 2 });
      if (group !== undefined) {
        const box = boxes.get(group) as Box;
        const inside = { x: box.x + GAP, y: box.y + HEADING, width: box.width - 2 * GAP, height: box.height - HEADING - GAP };
        const wanted = group === only ? onGrid({ x: inside.x, y: inside.y }) : next;
        const found = roomFor(size, wanted, takenOf(document, boxes, group), inside, true);
        if (found !== null) {
          return { ...found, parent: group };
        }
      }
      const wanted = isAnchored ? next : middle(area, size);
      return { ...(roomFor(size, wanted, takenOf(document, boxes, undefined), area) ?? wanted), parent: undefined };
    },
    inSight: (size) => {
      const area = seen();
      const wanted = middle(area, size);
      return document === null ? wanted : (roomFor(size, wanted, boxesOf(document).values(), area) ?? wanted);
    },
    show: (box) => {
      const area = seen();
      if (box.width > area.width || box.height > area.height) {
        const frame = { x: box.x - GAP, y: box.y - GAP, width: box.width + 2 * GAP, height: box.height + 2 * GAP };
        void setViewport(viewOf(frame, freeArea(), MIN_ZOOM), glide());
        return;
      }
      const { x, y, zoom } = getViewport();
      const way = (start: number, length: number, from: number, room: number): number =>
        start < from ? start - from : Math.max(0, start + length - from - room);
      const [left, up] = [way(box.x, box.width, area.x, area.width), way(box.y, box.height, area.y, area.height)];
      if (left !== 0 || up !== 0) {
        void setViewport({ x: x - left * zoom, y: y - up * zoom, zoom }, glide());
      }
    },
  };
}
