import { type DOMAttributes, type PointerEvent, useRef, useState } from "react";

/** What is dragged by a finger, and where in the window. */
export interface Dragged {
  type: string;
  x: number;
  y: number;
}

/** How far a finger moves before a tap becomes a drag. */
export const SLOP = 10;

/**
 * Drag something onto the canvas by a finger or a pen: the browser's own drag needs a mouse.
 *
 * @param onDrop - is called when it is dropped on the canvas, with the place in the window.
 */
export function useTouchDrag(onDrop: (type: string, at: { x: number; y: number }) => void) {
  const [dragged, setDragged] = useState<Dragged | null>(null);
  const start = useRef<{ x: number; y: number } | null>(null);
  const end = (): void => {
    start.current = null;
    setDragged(null);
  };
  const handlers = (type: string): DOMAttributes<HTMLElement> => ({
    onPointerDown: ({ pointerType, isPrimary, clientX: x, clientY: y }: PointerEvent) => {
      start.current = pointerType !== "mouse" && isPrimary ? { x, y } : null;
    },
    onPointerMove: ({ clientX: x, clientY: y }: PointerEvent) => {
      const from = start.current;
      if (from !== null && (dragged !== null || Math.hypot(x - from.x, y - from.y) > SLOP)) {
        setDragged({ type, x, y });
      }
    },
    onPointerUp: ({ clientX: x, clientY: y }: PointerEvent) => {
      const isOverCanvas = document.elementFromPoint(x, y)?.closest(".react-flow") instanceof Element;
      if (dragged !== null && isOverCanvas) {
        onDrop(type, { x, y });
      }
      end();
    },
    onPointerCancel: end,
  });
  return { dragged, handlers };
}
