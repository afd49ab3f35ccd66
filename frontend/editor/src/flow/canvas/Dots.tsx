import { useStoreApi } from "@xyflow/react";
import { useEffect, useRef } from "react";

/** The distance between dots, in the flow's units. */
const GAP = 24;

/** The least distance in pixels: below it, every second dot is left out, then three of four ... */
const LEAST = 16;

/**
 * The canvas's dots.
 *
 * They are painted once for each zoom, with a spare gap on each side. When the canvas moves, they are only
 * shifted, by less than a gap. This costs no painting and no rendering by React.
 */
export function Dots() {
  const dots = useRef<HTMLDivElement>(null);
  const store = useStoreApi();
  useEffect(() => {
    const show = ({ transform: [x, y, zoom] } = store.getState()): void => {
      if (dots.current !== null) {
        const gap = GAP * zoom * 2 ** Math.max(0, Math.ceil(Math.log2(LEAST / (GAP * zoom))));
        const { style } = dots.current;
        style.setProperty("--gap", `${gap}px`);
        style.transform = `translate(${x % gap}px, ${y % gap}px)`;
      }
    };
    show();
    return store.subscribe(show);
  }, [store]);
  return <div className="dots-frame" aria-hidden><div ref={dots} className="dots" /></div>;
}
