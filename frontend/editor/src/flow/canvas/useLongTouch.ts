import { type DOMAttributes, type PointerEvent, useCallback, useEffect, useRef } from "react";

import { SLOP } from "./useTouchDrag";

/** Milliseconds after which a resting finger is a long touch. */
const LONG = 500;

/** Ignore the click when the finger is lifted: it would hit what appeared under it. Clicks by keys have no `detail`. */
function swallowClick(): void {
  const swallow = (event: MouseEvent): void => {
    if (event.detail > 0) {
      event.stopPropagation();
    }
  };
  addEventListener("click", swallow, true);
  addEventListener("pointerdown", () => { removeEventListener("click", swallow, true); }, { capture: true, once: true });
}

/** Notice a long touch, which acts like the right mouse button: not every browser reports it. */
export function useLongTouch(onLong: (event: PointerEvent) => void) {
  const touch = useRef<{ x: number; y: number; timer: ReturnType<typeof setTimeout> } | null>(null);
  const end = useCallback((): void => {
    clearTimeout(touch.current?.timer);
    touch.current = null;
  }, []);
  useEffect(() => end, [end]);
  return {
    onPointerDownCapture: (event) => {
      end();
      if (event.pointerType === "touch" && event.isPrimary) {
        const timer = setTimeout(() => {
          swallowClick();
          onLong(event);
        }, LONG);
        touch.current = { x: event.clientX, y: event.clientY, timer };
      }
    },
    onPointerMoveCapture: ({ clientX, clientY }) => {
      const from = touch.current;
      if (from !== null && Math.hypot(clientX - from.x, clientY - from.y) > SLOP) {
        end();
      }
    },
    onPointerUpCapture: end,
    onPointerCancelCapture: end,
  } satisfies DOMAttributes<HTMLElement>;
}
