import { useLayoutEffect, useRef } from "react";

import { moveFocus, useLeaving } from "../../ui/menus";
import type { Command } from "./command";
import { keyWords } from "./keys";

/** Where a menu opens, in the window. */
export interface MenuPlace {
  x: number;
  y: number;
}

const FOR_CHOSEN = ["rename", "properties", "copy", "cut", "paste", "duplicate", "connect", "front", "back", "group", "ungroup", "into-group", "out-of-group", "lock-nodes", "fit-selected", "delete", "delete-whole"];
const FOR_CANVAS = ["paste", "template", "select-all", "layout", "fit", "find", "lock", "undo", "redo"];

/** Give a menu's commands: for the selection, or for the canvas. */
export function menuOf(commands: readonly Command[], isChosen: boolean): Command[] {
  const ids = isChosen ? FOR_CHOSEN : FOR_CANVAS;
  return ids.flatMap((id) => commands.find((one) => one.id === id && one.isEnabled) ?? []);
}

interface Props {
  place: MenuPlace;
  commands: readonly Command[];
  onClose: () => void;
}

/** The least distance to the window's border. */
const EDGE = 8;

/** The context menu, opened by the right button, a long touch, or the menu key. */
export function ContextMenu({ place, commands, onClose }: Props) {
  const element = useRef<HTMLDivElement>(null);
  const before = useRef<Element | null>(null);
  useLayoutEffect(() => {
    before.current = document.activeElement;
    const menu = element.current;
    if (menu !== null) {
      const { offsetWidth: width, offsetHeight: height } = menu;
      menu.style.left = `${Math.max(EDGE, Math.min(place.x, innerWidth - width - EDGE))}px`;
      menu.style.top = `${Math.max(EDGE, Math.min(place.y, innerHeight - height - EDGE))}px`;
      menu.querySelector<HTMLElement>("[role=menuitem]")?.focus();
    }
  }, [place]);
  useLeaving(element, onClose);
  const close = (): void => {
    onClose();
    if (before.current instanceof HTMLElement || before.current instanceof SVGElement) {
      before.current.focus({ preventScroll: true });
    }
  };
  return (
    <div
      ref={element}
      className="context panel"
      role="menu"
      aria-label="Actions"
      onContextMenu={(event) => { event.preventDefault(); }}
      onKeyDown={(event) => {
        event.stopPropagation();
        const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (step !== undefined) {
          event.preventDefault();
          moveFocus(element.current, step);
        } else if (event.key === "Escape" || event.key === "Tab") {
          event.preventDefault();
          close();
        }
      }}
    >
      {commands.map(({ id, label, icon: Icon, keys: [first = ""], run }) => (
        <button
          key={id}
          role="menuitem"
          tabIndex={-1}
          onClick={() => {
            close();
            run();
          }}
        >
          <Icon size={16} aria-hidden />
          <span>{label}</span>
          <span className="end">{keyWords(first).filter(Boolean).map((key) => <kbd key={key}>{key}</kbd>)}</span>
        </button>
      ))}
    </div>
  );
}
