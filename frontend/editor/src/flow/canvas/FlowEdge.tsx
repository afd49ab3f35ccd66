import { BaseEdge, EdgeLabelRenderer, type EdgeProps } from "@xyflow/react";
import { memo } from "react";

import { Guard } from "../../Guard";
import { textOf } from "../../kinds";
import { BrokenEdge } from "../status/Broken";
import { lineBetween } from "./lines";

/** A mark in the data for React Flow: the drawing level of the edge and its label. */
export const LEVEL = "#level";

/** Another mark: its lane beside edges with the same ends. */
export const LANE = "#lane";

/** An edge of any shape. Its label lies above all lines, and ignores the mouse. */
export const FlowEdge = memo(function FlowEdge(props: EdgeProps) {
  return <Guard of={props.data} stand={() => <BrokenEdge {...props} />}><Line {...props} /></Guard>;
});

function Line(props: EdgeProps) {
  const { type, label, data, selected, markerEnd, interactionWidth } = props;
  const { path, x, y } = lineBetween(type, props, Number(data?.[LANE] ?? 0));
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
}
