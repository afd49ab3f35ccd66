import { type Edge, type Node, useStoreApi, ViewportPortal } from "@xyflow/react";
import { useEffect, useRef } from "react";

import { frameOf, fromBelow, placesOf } from "../drawing";
import { tintOf } from "../kinds";
import { wornBy } from "../look";
import { useTheme } from "../theme";

/** Pixels for each of the flow's own units: as many as are seen from so far. */
const SCALE = 0.25;

/** Milliseconds after which a change of the flow is drawn. */
const DELAY = 150;

const MARGIN = 40;
const MAX_SIDE = 8_192;

/**
 * The nodes and edges as one picture, for those who look from far away.
 *
 * The stylesheet shows it in place of them while the canvas moves: one picture is moved in no time, a thousand
 * elements aren't.
 */
export function FarPicture({ nodes, edges }: { nodes: readonly Node[]; edges: readonly Edge[] }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const store = useStoreApi();
  const theme = useTheme();
  useEffect(() => {
    const timer = setTimeout(() => {
      const context = canvas.current?.getContext("2d");
      if (canvas.current === null || context === null || context === undefined) {
        return;
      }
      const { nodeLookup } = store.getState();
      const boxes = placesOf(nodeLookup);
      const frame = frameOf(boxes, MARGIN);
      const scale = Math.min(SCALE, MAX_SIDE / Math.max(frame.width, frame.height));
      Object.assign(canvas.current, { width: Math.ceil(frame.width * scale), height: Math.ceil(frame.height * scale) });
      Object.assign(canvas.current.style, { left: `${frame.x}px`, top: `${frame.y}px`, width: `${frame.width}px`, height: `${frame.height}px` });
      context.setTransform(scale, 0, 0, scale, -frame.x * scale, -frame.y * scale);
      const style = getComputedStyle(canvas.current);
      const token = (name: string): string => style.getPropertyValue(name);
      const line = new Path2D();
      for (const { source, target } of edges) {
        const [from, to] = [boxes.get(source), boxes.get(target)];
        if (from !== undefined && to !== undefined) {
          line.moveTo(from.x + from.width, from.y + from.height / 2);
          line.lineTo(to.x, to.y + to.height / 2);
        }
      }
      const fill = (node: Node): void => {
        const { x, y, width, height } = boxes.get(node.id) ?? { x: 0, y: 0, width: 0, height: 0 };
        const { own, kind } = tintOf(node);
        context.fillStyle = token("--panel");
        context.fillRect(x, y, width, height);
        const chosen = wornBy(node).fill;
        context.fillStyle = chosen ?? own ?? token(`--${kind}`);
        context.globalAlpha = chosen === undefined ? 0.4 : 1;
        context.fillRect(x, y, width, height);
        context.globalAlpha = 1;
      };
      // Edges run above what nodes lie in.
      const around = new Set(nodes.map(({ parentId }) => parentId));
      const sorted = fromBelow(nodes, nodeLookup);
      sorted.filter(({ id }) => around.has(id)).forEach(fill);
      context.lineWidth = 3;
      context.strokeStyle = token("--edge");
      context.stroke(line);
      sorted.filter(({ id }) => !around.has(id)).forEach(fill);
    }, DELAY);
    return () => { clearTimeout(timer); };
  }, [nodes, edges, store, theme]);
  return (
    <ViewportPortal>
      <canvas ref={canvas} className="far-picture" aria-hidden />
    </ViewportPortal>
  );
}
