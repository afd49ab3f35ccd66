/** Behaviour shared by menus and everything else that opens over the page. */

import { type RefObject, useEffect } from "react";

/** When the component goes, return the focus to the element that had it before. */
export function useFocusBack(): void {
  useEffect(() => {
    const before = document.activeElement;
    return () => {
      // Nodes are HTML, edges are SVG. If the focus is elsewhere by now, it stays there.
      if (document.activeElement === document.body && (before instanceof HTMLElement || before instanceof SVGElement)) {
        before.focus({ preventScroll: true });
      }
    };
  }, []);
}

/** Move the focus to another item of a menu, from its end to its start. */
export function moveFocus(menu: HTMLElement | null, step: number): void {
  const all = [...(menu?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
  const at = all.findIndex((one) => one === document.activeElement);
  all.at((at + step) % all.length)?.focus();
}

/**
 * Notice a press outside an element.
 *
 * @param onLeave - is called; `null` to ignore presses.
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
    // Before the canvas, which stops these events.
    addEventListener("pointerdown", leave, true);
    return () => { removeEventListener("pointerdown", leave, true); };
  }, [element, onLeave]);
}
