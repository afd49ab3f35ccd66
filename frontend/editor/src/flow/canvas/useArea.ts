import { type ReactFlowState, useStoreApi } from "@xyflow/react";
import { useLayoutEffect, useState } from "react";

import type { Box } from "../../drawing";
import { isWithin } from "../edits/room";
import { areaAround } from "./sight";

/**
 * Give the area of the canvas whose nodes and edges are rendered: the visible part with a margin.
 *
 * @param frame the box around everything; `null` to render everything in any case.
 * @returns `null` if the area contains everything.
 */
export function useArea(frame: Box | null): Box | null {
  const store = useStoreApi();
  const [area, setArea] = useState<Box | null>(null);
  useLayoutEffect(() => {
    if (frame === null) {
      return undefined;
    }
    const follow = (): void => {
      setArea((before) => areaNow(store.getState(), before));
    };
    follow();
    return store.subscribe(follow);
  }, [frame, store]);
  const now = area ?? areaNow(store.getState(), null);
  return frame === null || isWithin(frame, now) ? null : now;
}

function areaNow({ transform: [x, y, zoom], width, height, connection, userSelectionActive }: ReactFlowState, before: Box | null): Box {
  const seen = { x: -x / zoom, y: -y / zoom, width: width / zoom, height: height / zoom };
  return areaAround(seen, before, connection.inProgress || userSelectionActive);
}
