import { BaseEdge, EdgeLabelRenderer, type EdgeProps } from "@xyflow/react";
import { memo } from "react";

import { textOf } from "../kinds";
import { lineBetween } from "./lines";

/** A mark in the data that React Flow is given: how far above others the edge's label lies. */
export const LEVEL = "#level";

/** An edge of any shape. Its label lies above all lines, and leaves the mouse to the edge. */
export const FlowEdge = memo(function FlowEdge(props: EdgeProps) {
  const { type, label, data, selected, markerEnd, interactionWidth } = props;
  const { path, x, y } = lineBetween(type, props);
  const text = textOf(label);
  return (
    <>
      <BaseEdge path={path} {...(markerEnd === undefined ? {} : { markerEnd })} {...(interactionWidth === undefined ? {} : { interactionWidth })} />
      {text !== "" && (
        <EdgeLabelRenderer>
          <span
            className={selected === true ? "edge-label selected" : "edge-label"}
            style={{ zIndex: Number(data?.[LEVEL] ?? 0), transform: `translate(-50%, -50%) translate(${x}px, ${y}px)` }}
            aria-hidden
          >
            {text}
          </span>
        </EdgeLabelRenderer>
      )}
    </>
  );
});
