import { type Edge, type Node, useStoreApi, ViewportPortal } from "@xyflow/react";
import { useEffect, useRef } from "react";

import { type Box, fillNode, frameOf, placesOf } from "../drawing";
import { tintOf } from "../kinds";
import { wornBy } from "../look";
import { useTheme } from "../theme";
import { isDrawnAsGroup } from "./elements";

/** Pixels for each of the flow's own units: as many as are seen from so far. */
const SCALE = 0.25;

/** Milliseconds after which a change of the flow is drawn. */
const DELAY = 150;

const MARGIN = 40;
const MAX_SIDE = 8_192;

/** Gather what is drawn at the same height, from below. */
function levelsOf(nodes: readonly Node[], edges: readonly Edge[]): { nodes: Node[]; edges: Edge[] }[] {
  const levels = new Map<number, { nodes: Node[]; edges: Edge[] }>();
  const at = (zIndex = 0): { nodes: Node[]; edges: Edge[] } => {
    const level = levels.get(zIndex) ?? { nodes: [], edges: [] };
    levels.set(zIndex, level);
    return level;
  };
  nodes.forEach((node) => at(node.zIndex).nodes.push(node));
  edges.forEach((edge) => at(edge.zIndex).edges.push(edge));
  return [...levels].toSorted(([a], [b]) => a - b).map(([, level]) => level);
}

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
      const fill = (node: Node, { x, y, width, height }: Box): void => {
        const { own, kind } = tintOf(node);
        const tint = own ?? token(`--${kind}`);
        context.beginPath();
        context.rect(x, y, width, height);
        if (isDrawnAsGroup(node)) {
          fillNode(context, tint, true, 4);
          return;
        }
        context.fillStyle = token("--panel");
        context.fill();
        const chosen = wornBy(node).fill;
        context.globalAlpha = chosen === undefined ? 0.4 : 1;
        fillNode(context, chosen ?? tint, false, 0);
        context.globalAlpha = 1;
      };
      const join = (lines: Path2D, from: Box, to: Box): void => {
        lines.moveTo(from.x + from.width, from.y + from.height / 2);
        lines.lineTo(to.x, to.y + to.height / 2);
      };
      for (const { nodes: level, edges: joined } of levelsOf(nodes, edges)) {
        const lines = new Path2D();
        for (const { source, target } of joined) {
          const [from, to] = [boxes.get(source), boxes.get(target)];
          if (from !== undefined && to !== undefined) {
            join(lines, from, to);
          }
        }
        context.lineWidth = 3;
        context.strokeStyle = token("--edge");
        context.stroke(lines);
        for (const node of level) {
          const box = boxes.get(node.id);
          if (box !== undefined) {
            fill(node, box);
          }
        }
      }
    }, DELAY);
    return () => { clearTimeout(timer); };
  }, [nodes, edges, store, theme]);
  return (
    <ViewportPortal>
      <canvas ref={canvas} className="far-picture" aria-hidden />
    </ViewportPortal>
  );
}
