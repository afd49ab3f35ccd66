import { useReactFlow } from "@xyflow/react";
import { useEffect } from "react";

import { freeArea, glide } from "./fit";

/**
 * Have the node in sight that somebody goes to by Tab. React Flow's own `autoPanOnNodeFocus` takes the place of a child
 * within its parent for one on the canvas, and crosses the way of a jump that focuses what it leads to.
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
      // By where it is drawn, not by its place in the window: browsers scroll the canvas to what is focused, for a moment.
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
