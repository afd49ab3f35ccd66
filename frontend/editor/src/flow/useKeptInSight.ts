import { useReactFlow } from "@xyflow/react";
import { useEffect } from "react";

import { freeArea, glide, useNarrow } from "./fit";
import { elementOf } from "./LabelEditor";

const GAP = 24;

/**
 * Have what properties are of beside them, or above where they are a sheet at the bottom.
 *
 * @param key the id of what is selected; of more than one, or of nothing, the canvas stays.
 */
export function useKeptInSight(key: string): void {
  const isNarrow = useNarrow();
  const { getViewport, setViewport } = useReactFlow();
  useEffect(() => {
    const frame = requestAnimationFrame(() => {
      const element = key === "" ? null : elementOf(key);
      const stage = document.querySelector(".stage")?.getBoundingClientRect();
      // Under the hand that drags it, the canvas stays.
      if (element === null || stage === undefined || element.classList.contains("dragging")) {
        return;
      }
      const box = element.getBoundingClientRect();
      const free = freeArea();
      const isLow = box.bottom - stage.top > free.height;
      const isBeside = !isNarrow && box.right - stage.left > free.x + free.width;
      if ((isNarrow && isLow) || isBeside) {
        const { x, y, zoom } = getViewport();
        const left = isBeside ? box.right - stage.left - free.x - free.width + GAP : 0;
        const up = isNarrow ? (box.top + box.bottom) / 2 - stage.top - free.height / 2 : 0;
        void setViewport({ x: x - left, y: y - up, zoom }, glide());
      }
    });
    return () => { cancelAnimationFrame(frame); };
  }, [key, isNarrow, getViewport, setViewport]);
}
