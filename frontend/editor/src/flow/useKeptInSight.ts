import { useReactFlow } from "@xyflow/react";
import { useEffect } from "react";

import { freeArea, glide, useNarrow } from "./fit";
import { elementOf } from "./LabelEditor";

/**
 * Where properties are a sheet at the bottom, have what they are of above it.
 *
 * @param key the id of what is selected; of more than one, or of nothing, the canvas stays.
 */
export function useKeptInSight(key: string): void {
  const isNarrow = useNarrow();
  const { getViewport, setViewport } = useReactFlow();
  useEffect(() => {
    const element = key === "" ? null : elementOf(key);
    const stage = document.querySelector(".stage");
    if (!isNarrow || element === null || stage === null) {
      return;
    }
    const { top: zero } = stage.getBoundingClientRect();
    const { top, bottom } = element.getBoundingClientRect();
    const free = freeArea();
    if (bottom - zero > free.height || top < zero) {
      const { x, y, zoom } = getViewport();
      void setViewport({ x, y: y + zero + free.height / 2 - (top + bottom) / 2, zoom }, glide());
    }
  }, [key, isNarrow, getViewport, setViewport]);
}
