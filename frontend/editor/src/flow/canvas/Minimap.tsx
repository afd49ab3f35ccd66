import { useReactFlow, useStoreApi } from "@xyflow/react";
import { type PointerEvent, useEffect, useRef } from "react";

import { type Box, fillNode } from "../../drawing";
import { tintOf } from "../../kinds";
import { lookOf } from "../../look";
import { useTheme } from "../../theme";
import { type Arrangement, frameAround, fromBelow } from "./arrangement";
import { MAX_ZOOM, MIN_ZOOM } from "./fit";

const SIZE = { width: 200, height: 128 };

/** Milliseconds after which a change of the flow is drawn, and more for each node: many aren't drawn while one drags. */
const DELAY = 100;
const DELAY_OF_NODE = 0.05;

/** The margin around the nodes, in the flow's units. */
const MARGIN = 200;

/** How much the wheel zooms, by the unit of the browser's event, as on the canvas. */
const WHEEL = [0.002, 0.05, 1];

/** The transformation from the flow to the map. */
interface Scale {
  by: number;
  x: number;
  y: number;
}

function scaleOf(frame: Box): Scale {
  const by = Math.min(SIZE.width / frame.width, SIZE.height / frame.height);
  return { by, x: (SIZE.width - frame.width * by) / 2 - frame.x * by, y: (SIZE.height - frame.height * by) / 2 - frame.y * by };
}

/**
 * A small map of the whole flow. Drag to move the view, turn the wheel to zoom.
 *
 * It is drawn when nodes change. While the canvas moves, only the frame moves, without rendering by React.
 */
export function Minimap({ arrangement }: { arrangement: Arrangement }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  const scale = useRef<Scale>({ by: 1, x: 0, y: 0 });
  const store = useStoreApi();
  const theme = useTheme();
  const { setViewport, getViewport } = useReactFlow();
  /** The pointer that was pressed on the map; others may drag something across it. */
  const pressed = useRef<number | null>(null);

  const showView = useRef(() => {
    const { transform: [x, y, zoom], width, height } = store.getState();
    const { by, x: left, y: top } = scale.current;
    if (frame.current !== null) {
      const { style } = frame.current;
      style.transform = `translate(${left - (x / zoom) * by}px, ${top - (y / zoom) * by}px)`;
      style.width = `${(width / zoom) * by}px`;
      style.height = `${(height / zoom) * by}px`;
    }
  });
  useEffect(() => store.subscribe(showView.current), [store]);

  useEffect(() => {
    const timer = setTimeout(() => {
      const context = canvas.current?.getContext("2d");
      if (canvas.current === null || context === null || context === undefined) {
        return;
      }
      const style = getComputedStyle(canvas.current);
      scale.current = scaleOf(frameAround(arrangement, MARGIN));
      const { by, x, y } = scale.current;
      const ratio = Math.min(2, devicePixelRatio);
      canvas.current.width = SIZE.width * ratio;
      canvas.current.height = SIZE.height * ratio;
      context.scale(ratio, ratio);
      for (const { node, box, isGroup } of fromBelow(arrangement)) {
        const { own, kind } = tintOf(node);
        const { fill, border } = lookOf(node);
        const tint = own ?? style.getPropertyValue(`--${kind}`);
        context.beginPath();
        context.roundRect(x + box.x * by, y + box.y * by, Math.max(2, box.width * by), Math.max(2, box.height * by), Math.min(2, 8 * by));
        fillNode(context, fill ?? tint, isGroup, 1);
        if (fill !== null || border !== null) {
          context.strokeStyle = border ?? tint;
          context.stroke();
        }
      }
      showView.current();
    }, DELAY + DELAY_OF_NODE * arrangement.size);
    return () => { clearTimeout(timer); };
  }, [arrangement, theme]);

  const look = (event: PointerEvent): void => {
    const { left, top } = event.currentTarget.getBoundingClientRect();
    const { by, x, y } = scale.current;
    const { width, height } = store.getState();
    const { zoom } = getViewport();
    const [toX, toY] = [(event.clientX - left - x) / by, (event.clientY - top - y) / by];
    void setViewport({ x: width / 2 - toX * zoom, y: height / 2 - toY * zoom, zoom });
  };
  const turn = useRef((event: WheelEvent) => {
    event.preventDefault();
    const { width, height } = store.getState();
    const { x, y, zoom } = getViewport();
    const by = -event.deltaY * (WHEEL[event.deltaMode] ?? 0) * (event.ctrlKey ? 10 : 1);
    const next = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, zoom * 2 ** by));
    const keep = (middle: number, from: number): number => middle - ((middle - from) / zoom) * next;
    void setViewport({ x: keep(width / 2, x), y: keep(height / 2, y), zoom: next });
  });
  const map = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const { current } = map;
    // React's listeners can't stop the browser from zooming the page.
    const listener = turn.current;
    current?.addEventListener("wheel", listener, { passive: false });
    return () => { current?.removeEventListener("wheel", listener); };
  }, []);
  return (
    <div
      ref={map}
      className="minimap panel"
      role="img"
      aria-label="Map of the flow"
      onPointerDown={(event) => {
        if (event.button === 0 && pressed.current === null) {
          pressed.current = event.pointerId;
          event.currentTarget.setPointerCapture(event.pointerId);
          look(event);
        }
      }}
      onPointerMove={(event) => {
        if (event.pointerId === pressed.current) {
          look(event);
        }
      }}
      onLostPointerCapture={() => { pressed.current = null; }}
    >
      <canvas ref={canvas} style={SIZE} />
      <div ref={frame} className="in-sight" />
    </div>
  );
}
