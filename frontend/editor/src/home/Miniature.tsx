import type { FlowDocument } from "helix-flows";
import { memo } from "react";

import { boxesOf, curveOf, frameOf } from "../drawing";
import { kindOf } from "../kinds";

/** A flow, drawn small. */
export const Miniature = memo(function Miniature({ document }: { document: FlowDocument | undefined }) {
  const boxes = boxesOf(document);
  const { x, y, width, height } = frameOf(boxes, 120);
  const stroke = Math.max(width / 180, height / 90);
  return (
    <svg className="picture" viewBox={`${x} ${y} ${width} ${height}`} aria-hidden>
      {Object.values(document?.edges ?? {}).map((edge) => (
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
