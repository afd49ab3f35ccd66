import { type Edge, ViewportPortal } from "@xyflow/react";
import { useEffect, useRef } from "react";

import { type Box, fillNode, isFinite } from "../../drawing";
import { tintOf } from "../../kinds";
import { lookOf } from "../../look";
import { useTheme } from "../../theme";
import { type Arrangement, frameAround, fromBelow, type Lying } from "./arrangement";
import { heightOf } from "./elements";

/** Pixels per unit of the flow: as many as are visible from so far away. */
const SCALE = 0.25;

/** Milliseconds after which a change of the flow is drawn, and more for each node: many aren't drawn while one drags. */
const DELAY = 150;
const DELAY_OF_NODE = 0.05;

const MARGIN = 40;
const MAX_SIDE = 8_192;

/** The most pixels that are painted, those of nodes above each other counted for each: a second's work. */
const MAX_PAINTED = 1e9;

/** A line from the one to the other. */
type Line = readonly [Box, Box];

/** Give the scale of the picture of an arrangement that lies in a frame. */
export function scaleOf(arrangement: Arrangement, frame: Box): number {
  let area = 1;
  for (const { box } of arrangement.values()) {
    area += isFinite(box) ? box.width * box.height : 0;
  }
  return Math.min(SCALE, MAX_SIDE / Math.max(frame.width, frame.height), Math.sqrt(MAX_PAINTED / area));
}

/** Group the pieces by drawing level, from bottom to top. */
function levelsOf(arrangement: Arrangement, edges: readonly Edge[]): { nodes: Lying[]; lines: Line[] }[] {
  const levels = new Map<number, { nodes: Lying[]; lines: Line[] }>();
  const at = (zIndex: number): { nodes: Lying[]; lines: Line[] } => {
    const level = levels.get(zIndex) ?? { nodes: [], lines: [] };
    levels.set(zIndex, level);
    return level;
  };
  fromBelow(arrangement).forEach((lying) => at(lying.zIndex).nodes.push(lying));
  for (const edge of edges) {
    const [from, to] = [arrangement.get(edge.source), arrangement.get(edge.target)];
    if (from !== undefined && to !== undefined) {
      at(heightOf(edge, arrangement)).lines.push([from.box, to.box]);
    }
  }
  return [...levels].toSorted(([a], [b]) => a - b).map(([, level]) => level);
}

/**
 * The nodes and edges as one picture, for low zooms.
 *
 * The stylesheet shows it in place of them while the canvas moves: moving one picture is fast, moving a thousand
 * elements isn't.
 */
export function FarPicture({ arrangement, edges }: { arrangement: Arrangement; edges: readonly Edge[] }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const theme = useTheme();
  useEffect(() => {
    const timer = setTimeout(() => {
      const context = canvas.current?.getContext("2d");
      if (canvas.current === null || context === null || context === undefined) {
        return;
      }
      const frame = frameAround(arrangement, MARGIN);
      const scale = scaleOf(arrangement, frame);
      Object.assign(canvas.current, { width: Math.ceil(frame.width * scale), height: Math.ceil(frame.height * scale) });
      Object.assign(canvas.current.style, { left: `${frame.x}px`, top: `${frame.y}px`, width: `${frame.width}px`, height: `${frame.height}px` });
      context.setTransform(scale, 0, 0, scale, -frame.x * scale, -frame.y * scale);
      const style = getComputedStyle(canvas.current);
      const token = (name: string): string => style.getPropertyValue(name);
      const fill = ({ node, box: { x, y, width, height }, isGroup }: Lying): void => {
        const { own, kind } = tintOf(node);
        const tint = own ?? token(`--${kind}`);
        context.beginPath();
        context.rect(x, y, width, height);
        if (isGroup) {
          fillNode(context, tint, true, 4);
          return;
        }
        context.fillStyle = token("--panel");
        context.fill();
        const chosen = lookOf(node).fill;
        context.globalAlpha = chosen === null ? 0.4 : 1;
        fillNode(context, chosen ?? tint, false, 0);
        context.globalAlpha = 1;
      };
      for (const { nodes, lines } of levelsOf(arrangement, edges)) {
        const path = new Path2D();
        for (const [from, to] of lines) {
          path.moveTo(from.x + from.width, from.y + from.height / 2);
          path.lineTo(to.x, to.y + to.height / 2);
        }
        context.lineWidth = 3;
        context.strokeStyle = token("--edge");
        context.stroke(path);
        nodes.forEach(fill);
      }
    }, DELAY + DELAY_OF_NODE * arrangement.size);
    return () => { clearTimeout(timer); };
  }, [arrangement, edges, theme]);
  return (
    <ViewportPortal>
      <canvas ref={canvas} className="far-picture" aria-hidden />
    </ViewportPortal>
  );
}
