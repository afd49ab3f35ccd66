/** Commands that change the view: zoom, fit, pan, and jumps to nodes. */

import { useReactFlow } from "@xyflow/react";
import type { Dropped, Point } from "helix-flows";
import type { UseFlowResult } from "helix-flows/react";

import { sizeOf } from "../../drawing";
import { placesIn } from "../../nesting";
import { tell } from "../../ui/Toasts";
import { type Direction, nextOf } from "../edits/placing";
import type { Actions } from "../edits/useActions";
import { goneNames } from "../history/useDropped";
import { announce } from "../status/announce";
import { nameOf } from "./elements";
import { glide, isInSight, MIN_ZOOM, viewOfFlow } from "./fit";
import { elementOf } from "./LabelEditor";

export interface Views {
  /** Zoom to everything. */
  fit: () => void;
  /** Zoom to the selection. */
  fitSelected: () => void;
  zoomIn: () => void;
  zoomOut: () => void;
  /** Zoom to 100 %. */
  zoomToOne: () => void;
  pan: (by: Point) => void;
  /** Select the next node in a direction, and go there. */
  goTo: (direction: Direction) => void;
  /** Select a node, and go to it, at 100 %. */
  reveal: (id: string) => void;
  /** Restore what somebody deleted, with one's own changes, and go there. */
  restore: (all: readonly Dropped[]) => void;
}

/** Focus an element, with retries: it may not be rendered before the canvas is there, or a dialog may block it. */
function focus(id: string, tries: number): void {
  const found = elementOf(id);
  found?.focus({ preventScroll: true });
  if (tries > 0 && (found === null || window.document.activeElement !== found)) {
    requestAnimationFrame(() => { focus(id, tries - 1); });
  }
}

/** Give the commands that change the view. */
export function useViews({ sync, document, nodes, edges }: UseFlowResult, { selected, select }: Actions): Views {
  const { setCenter, setViewport, getViewport, getZoom, zoomIn, zoomOut, zoomTo } = useReactFlow();

  /** Select a node, bring it into view, and focus it. */
  const reveal = (id: string, isCentred: boolean): void => {
    select([id]);
    const node = nodes.find((one) => one.id === id);
    if (node === undefined) {
      return;
    }
    announce(nameOf(node));
    const element = elementOf(id);
    if (isCentred || element === null || !isInSight(element)) {
      const { width, height } = sizeOf(node);
      const { x, y } = (document === null ? undefined : placesIn(document).get(id)) ?? node.position;
      const zoom = isCentred ? 1 : getZoom();
      void setCenter(x + width / 2, y + height / 2, { zoom, ...glide() });
    }
    focus(id, 60);
  };

  return {
    restore: (all) => {
      const ids = all.flatMap(({ deletions }) => deletions.map(({ id }) => id));
      if (!sync.restore(...all)) {
        tell("There was nothing left to restore.");
        return;
      }
      announce(`Restored ${goneNames(all)}`);
      select(ids);
      focus(ids[0] ?? "", 60);
    },
    // By the latest state: a change just before counts.
    fit: () => {
      if (sync.state.document !== null) {
        void setViewport(viewOfFlow(sync.state.document, MIN_ZOOM), glide());
      }
    },
    fitSelected: () => {
      const ends = edges.filter((edge) => edge.selected).flatMap(({ source, target }) => [source, target]);
      if (sync.state.document !== null && selected.length > 0) {
        void setViewport(viewOfFlow(sync.state.document, MIN_ZOOM, new Set([...selected, ...ends])), glide());
      }
    },
    zoomIn: () => void zoomIn(glide()),
    zoomOut: () => void zoomOut(glide()),
    zoomToOne: () => void zoomTo(1, glide()),
    pan: (by) => {
      const { x, y, zoom } = getViewport();
      void setViewport({ x: x - by.x, y: y - by.y, zoom });
    },
    goTo: (direction) => {
      const next = document === null ? null : nextOf(document, selected.find((id) => Object.hasOwn(document.nodes, id)), direction);
      if (next === null) {
        announce("No node in that direction");
      } else {
        reveal(next, false);
      }
    },
    reveal: (id) => { reveal(id, true); },
  };
}
