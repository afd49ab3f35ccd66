import type { FlowDocument } from "helix-flows";
import { memo } from "react";

import { boxesOf, curveOf, frameOf } from "../drawing";
import { kindOf } from "../kinds";

/** From how many nodes on edges are too many to tell anything. */
const MANY_NODES = 400;

/** A flow, drawn small. */
export const Miniature = memo(function Miniature({ document }: { document: FlowDocument | undefined }) {
  const boxes = boxesOf(document);
  const edges = boxes.size > MANY_NODES ? [] : Object.values(document?.edges ?? {});
  const { x, y, width, height } = frameOf(boxes, 80, edges);
  const stroke = Math.max(width / 180, height / 90);
  return (
    <svg className="picture" viewBox={`${x} ${y} ${width} ${height}`} aria-hidden>
      {edges.map((edge) => (
        <path key={edge.id} className="mini-edge" strokeWidth={stroke} d={curveOf(boxes.get(edge.source), boxes.get(edge.target))} />
      ))}
      {[...boxes].map(([id, box]) => (
        <rect
          key={id}
          className={`mini-node ${kindOf(document?.nodes[id]?.type).type}`}
          {...box}
          rx={Math.min(stroke * 3, 16)}
          strokeWidth={stroke * 1.2}
        />
      ))}
    </svg>
  );
});
