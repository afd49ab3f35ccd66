/** Fits content into the free part of the canvas, at a readable zoom. */

import type { Viewport } from "@xyflow/react";
import type { FlowDocument } from "helix-flows";
import { useSyncExternalStore } from "react";

import { type Box, boxesOf, frameOf } from "../../drawing";

/** Duration of canvas motions, in milliseconds. */
export const GLIDE = 180;

/** The least zoom at which a flow opens: its text is readable. */
export const READABLE_ZOOM = 0.55;

export const MIN_ZOOM = 0.1;
export const MAX_ZOOM = 2.5;

const MARGIN = 32;
const narrow = matchMedia("(max-width: 720px)");
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Give a motion's duration; none for users who prefer reduced motion. */
export function glide(): { duration?: number } {
  return still.matches ? {} : { duration: GLIDE };
}

/** Tell whether this is a phone's width, where panels are sheets at the bottom. */
export function useNarrow(): boolean {
  return useSyncExternalStore(
    (listener) => {
      narrow.addEventListener("change", listener);
      return () => { narrow.removeEventListener("change", listener); };
    },
    () => narrow.matches,
  );
}

/** Give the part of the stage that no panel covers, relative to the stage. */
export function freeArea(): Box {
  const stage = document.querySelector<HTMLElement>(".stage");
  const taken = (selector: string, side: "offsetWidth" | "offsetHeight"): number => {
    const panel = stage?.querySelector<HTMLElement>(selector);
    return panel === null || panel === undefined || panel.offsetParent === null ? 0 : panel[side] + 16;
  };
  const isSheets = narrow.matches;
  const left = isSheets ? 0 : taken(":scope > .palette", "offsetWidth");
  const right = isSheets ? 0 : taken(":scope > .properties", "offsetWidth");
  const bottom = Math.max(taken(":scope > .zoom", "offsetHeight"), isSheets ? taken(":scope > .properties", "offsetHeight") : 0);
  return { x: left, y: 0, width: (stage?.clientWidth ?? 0) - left - right, height: (stage?.clientHeight ?? 0) - bottom };
}

/** Tell whether an element is completely in the part of the stage that no panel covers. */
export function isInSight(element: Element): boolean {
  const { left, right, top, bottom } = element.getBoundingClientRect();
  const stage = document.querySelector(".stage")?.getBoundingClientRect() ?? new DOMRect();
  const free = freeArea();
  return left >= stage.left + free.x && right <= stage.left + free.x + free.width && top >= stage.top && bottom <= stage.top + free.height;
}

/** Centre a frame in a free area; a frame that is too large starts at the upper left. */
export function viewOf(frame: Box, free: Box, minZoom: number): Viewport {
  const fitting = Math.min(free.width / frame.width, free.height / frame.height);
  // The stage of a hidden page has no size.
  const zoom = Math.min(1, Math.max(minZoom, Number.isNaN(fitting) ? 1 : fitting));
  const place = (start: number, room: number, from: number, size: number): number =>
    start - from * zoom + Math.max(0, (room - size * zoom) / 2);
  return {
    x: place(free.x, free.width, frame.x, frame.width),
    y: place(free.y, free.height, frame.y, frame.height),
    zoom,
  };
}

/** Give the view of a whole flow, or of some of its nodes. */
export function viewOfFlow(flow: FlowDocument, minZoom: number, ids?: ReadonlySet<string>): Viewport {
  const boxes = [...boxesOf(flow)].filter(([id]) => ids === undefined || ids.has(id));
  return viewOf(frameOf(new Map(boxes), MARGIN), freeArea(), minZoom);
}
