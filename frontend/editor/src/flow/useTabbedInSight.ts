import { useReactFlow } from "@xyflow/react";
import { useEffect } from "react";

import { glide, isInSight } from "./fit";

/**
 * Have the node in sight that somebody goes to by Tab. React Flow's own `autoPanOnNodeFocus` takes the place of a child
 * within its parent for one on the canvas, and crosses the way of a jump that focuses what it leads to.
 */
export function useTabbedInSight(): void {
  const { getInternalNode, getZoom, setCenter } = useReactFlow();
  useEffect(() => {
    const release = ({ key, target }: KeyboardEvent): void => {
      const element = key === "Tab" && target instanceof HTMLElement ? target.closest<HTMLElement>(".react-flow__node") : null;
      const node = element === null ? undefined : getInternalNode(element.dataset["id"] ?? "");
      if (element !== null && node !== undefined && !isInSight(element)) {
        const { x, y } = node.internals.positionAbsolute;
        const { width = 0, height = 0 } = node.measured;
        void setCenter(x + width / 2, y + height / 2, { zoom: getZoom(), ...glide() });
      }
    };
    addEventListener("keyup", release);
    return () => { removeEventListener("keyup", release); };
  }, [getInternalNode, getZoom, setCenter]);
}
