import { useReactFlow } from "@xyflow/react";
import { useEffect } from "react";

import { freeArea, glide } from "./fit";

/**
 * Bring a node into view when Tab focuses it. React Flow's `autoPanOnNodeFocus` mistakes a child's place in its parent
 * for one on the canvas, and disturbs jumps that focus their target.
 */
export function useTabbedInSight(): void {
  const { getInternalNode, getViewport, setCenter } = useReactFlow();
  useEffect(() => {
    const release = ({ key, target }: KeyboardEvent): void => {
      const element = key === "Tab" && target instanceof HTMLElement ? target.closest<HTMLElement>(".react-flow__node") : null;
      const node = element === null ? undefined : getInternalNode(element.dataset["id"] ?? "");
      if (node === undefined) {
        return;
      }
      const { x, y } = node.internals.positionAbsolute;
      const { width = 0, height = 0 } = node.measured;
      const view = getViewport();
      const free = freeArea();
      // By its place on the canvas, not in the window: for a moment, browsers scroll the canvas to the focused element.
      const [left, top] = [x * view.zoom + view.x, y * view.zoom + view.y];
      const isBeside = left < free.x || left + width * view.zoom > free.x + free.width;
      if (isBeside || top < free.y || top + height * view.zoom > free.y + free.height) {
        void setCenter(x + width / 2, y + height / 2, { zoom: view.zoom, ...glide() });
      }
    };
    addEventListener("keyup", release);
    return () => { removeEventListener("keyup", release); };
  }, [getInternalNode, getViewport, setCenter]);
}
