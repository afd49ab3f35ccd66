import type { FlowDocument } from "helix-flows";
import { memo } from "react";

import { boxesOf, curveOf, frameOf, piecesOf } from "../drawing";
import { tinted, tintOf } from "../kinds";
import { dressed, lookOf } from "../look";
import { placesIn } from "../nesting";
import { MOST, seenOf } from "./seen";

/** From this many nodes on, edges are left out: they would be too many to recognise. */
const MANY_NODES = 400;

/** A flow, drawn small. */
export const Miniature = memo(function Miniature({ document }: { document: FlowDocument | undefined }) {
  const flow = document ?? { nodes: {}, edges: {} };
  const places = placesIn(flow);
  const boxes = boxesOf(flow, places);
  const edges = boxes.size > MANY_NODES ? [] : Object.entries(flow.edges);
  const shown = edges.length === Object.keys(flow.edges).length && edges.length <= MOST ? flow : { ...flow, edges: Object.fromEntries(edges.slice(0, MOST)) };
  const frame = frameOf(boxes, 80, Object.values(shown.edges));
  const { x, y, width, height } = frame;
  const stroke = Math.max(width / 180, height / 90);
  return (
    <svg className="picture" viewBox={`${x} ${y} ${width} ${height}`} aria-hidden>
      {piecesOf(shown, seenOf(boxes, frame), places).map((piece) => {
        if ("edge" in piece) {
          const { edge: { id, source, target }, lane } = piece;
          return <path key={`edge ${id}`} className="mini-edge" strokeWidth={stroke} d={curveOf(boxes.get(source), boxes.get(target), lane)} />;
        }
        const { node, box, isGroup } = piece;
        const { className, style } = tinted(isGroup ? "mini-group" : "mini-node", tintOf(node));
        const dress = dressed(lookOf(node));
        return <rect key={`node ${node.id}`} className={`${className} ${dress.className}`} style={{ ...style, ...dress.style }} {...box} rx={Math.min(stroke * 3, 16)} strokeWidth={stroke * 1.2} />;
      })}
    </svg>
  );
});
