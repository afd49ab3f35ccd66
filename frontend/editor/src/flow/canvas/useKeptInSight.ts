import { useReactFlow } from "@xyflow/react";
import { useEffect } from "react";

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
  const { getViewport, setViewport } = useReactFlow();
  useEffect(() => {
    const keep = (): void => {
      const element = key === "" ? null : elementOf(key);
      const stage = document.querySelector(".stage")?.getBoundingClientRect();
      // During a drag the canvas stays.
      if (element === null || stage === undefined || element.classList.contains("dragging")) {
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
        void setViewport({ x: x - left, y: y - up, zoom }, glide());
      }
    };
    let frame = 0;
    // A jump to the selected element comes first.
    const wait = (before: string, still: number, patience: number): void => {
      frame = requestAnimationFrame(() => {
        const view = JSON.stringify(getViewport());
        const stillNow = view === before ? still + 1 : 0;
        if (stillNow >= STILL || patience === 0) {
          keep();
        } else {
          wait(view, stillNow, patience - 1);
        }
      });
    };
    wait("", 0, PATIENCE);
    return () => { cancelAnimationFrame(frame); };
  }, [key, isNarrow, getViewport, setViewport]);
}
