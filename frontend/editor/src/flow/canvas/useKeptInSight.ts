import { useReactFlow } from "@xyflow/react";
import { useEffect, useRef } from "react";

import { freeArea, glide, useNarrow } from "./fit";
import { elementOf } from "./LabelEditor";

const GAP = 24;

/** Frames without motion after which the canvas is at rest, and the most frames to wait for that. */
const STILL = 4;
const PATIENCE = 60;

/**
 * Keep the selected element visible beside its properties, or above them on a phone.
 *
 * @param key the id of the selected element; `""` for none or several: the canvas then stays.
 */
export function useKeptInSight(key: string): void {
  const isNarrow = useNarrow();
  const isPressed = usePressed();
  const { getViewport, setViewport } = useReactFlow();
  useEffect(() => {
    let isGliding = false;
    const keep = (): void => {
      const element = key === "" ? null : elementOf(key);
      const stage = document.querySelector(".stage")?.getBoundingClientRect();
      if (element === null || stage === undefined) {
        return;
      }
      const box = element.getBoundingClientRect();
      const free = freeArea();
      // If it is completely out of view, a jump to it is under way, which must not be disturbed.
      const isOut = box.left > stage.right || box.right < stage.left || box.top > stage.bottom || box.bottom < stage.top;
      if (isOut) {
        return;
      }
      const isLow = box.bottom - stage.top > free.height;
      const isBeside = !isNarrow && box.right - stage.left > free.x + free.width;
      if ((isNarrow && isLow) || isBeside) {
        const { x, y, zoom } = getViewport();
        const left = isBeside ? box.right - stage.left - free.x - free.width + GAP : 0;
        const up = isNarrow ? (box.top + box.bottom) / 2 - stage.top - free.height / 2 : 0;
        isGliding = true;
        void setViewport({ x: x - left, y: y - up, zoom }, glide());
      }
    };
    let frame = 0;
    // A jump to the selected element comes first, and so does a drag: the canvas stays under a pressed button.
    const wait = (before: string, still: number, patience: number): void => {
      frame = requestAnimationFrame(() => {
        const view = JSON.stringify(getViewport());
        const stillNow = view === before ? still + 1 : 0;
        if (isPressed.current) {
          wait(view, 0, PATIENCE);
        } else if (stillNow >= STILL || patience === 0) {
          keep();
        } else {
          wait(view, stillNow, patience - 1);
        }
      });
    };
    // Where a press began on an element, its end belongs there too. Over the bare canvas it would clear the selection.
    const stop = ({ target }: PointerEvent): void => {
      const isOnElement = target instanceof Element && target.closest(".react-flow__node, .react-flow__edge") !== null;
      if (isGliding && isOnElement && document.querySelector(".react-flow[data-moving]") !== null) {
        void setViewport(getViewport());
        wait("", 0, PATIENCE);
      }
      isGliding = false;
    };
    addEventListener("pointerdown", stop, true);
    wait("", 0, PATIENCE);
    return () => {
      removeEventListener("pointerdown", stop, true);
      cancelAnimationFrame(frame);
    };
  }, [key, isNarrow, isPressed, getViewport, setViewport]);
}

/** Tell whether a button, a finger or a pen is down. */
function usePressed(): { readonly current: boolean } {
  const isPressed = useRef(false);
  useEffect(() => {
    const look = ({ buttons }: PointerEvent): void => { isPressed.current = buttons !== 0; };
    // Moves count, too: where a press ends outside the window, the page may not hear of it.
    const kinds = ["pointerdown", "pointermove", "pointerup", "pointercancel"] as const;
    for (const kind of kinds) {
      addEventListener(kind, look, true);
    }
    return () => {
      for (const kind of kinds) {
        removeEventListener(kind, look, true);
      }
    };
  }, []);
  return isPressed;
}
