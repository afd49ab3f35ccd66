/** What menus, and all else that opens over the rest, do alike. */

import { type RefObject, useEffect } from "react";

/** Give the focus back, when this goes with it, to what had it when this came. */
export function useFocusBack(): void {
  useEffect(() => {
    const before = document.activeElement;
    return () => {
      // Nodes are HTML, edges are SVG. Who has gone on to something else meanwhile is left there.
      if (document.activeElement === document.body && (before instanceof HTMLElement || before instanceof SVGElement)) {
        before.focus({ preventScroll: true });
      }
    };
  }, []);
}

/** Give the focus to another thing to do in a menu, around its ends. */
export function moveFocus(menu: HTMLElement | null, step: number): void {
  const all = [...(menu?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
  const at = all.findIndex((one) => one === document.activeElement);
  all.at((at + step) % all.length)?.focus();
}

/**
 * Notice a press beside an element.
 *
 * @param onLeave - `null` while it doesn't matter.
 */
export function useLeaving(element: RefObject<HTMLElement | null>, onLeave: (() => void) | null): void {
  useEffect(() => {
    if (onLeave === null) {
      return;
    }
    const leave = (event: PointerEvent): void => {
      if (event.target instanceof Node && element.current?.contains(event.target) !== true) {
        onLeave();
      }
    };
    // Before the canvas, which keeps presses for itself.
    addEventListener("pointerdown", leave, true);
    return () => { removeEventListener("pointerdown", leave, true); };
  }, [element, onLeave]);
}
