import type { LucideIcon } from "lucide-react";
import { type CSSProperties, type ReactNode, useEffect, useRef, useState } from "react";

import { moveFocus, useLeaving } from "./menus";

export interface MenuItem {
  /** Distinguishes items with the same label. */
  id?: string;
  label: string;
  icon: LucideIcon;
  run: () => void;
}

interface Props {
  label: string;
  className?: string;
  style?: CSSProperties;
  children: ReactNode;
  /** Stands above the items. */
  head?: ReactNode;
  items: readonly MenuItem[];
}

/** A button that opens a menu. Arrow keys move in it, Escape closes it. */
export function Menu({ label, className = "icon-button", style, children, head, items }: Props) {
  const [isOpen, setOpen] = useState(false);
  const element = useRef<HTMLDivElement>(null);
  useLeaving(element, isOpen ? () => { setOpen(false); } : null);
  useEffect(() => {
    if (isOpen) {
      element.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus();
    }
  }, [isOpen]);

  const close = (): void => {
    setOpen(false);
    element.current?.querySelector<HTMLElement>("button")?.focus();
  };

  return (
    <div
      className="menu"
      ref={element}
      onKeyDown={(event) => {
        const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (isOpen && step !== undefined) {
          event.preventDefault();
          moveFocus(element.current, step);
        } else if (isOpen && event.key === "Escape") {
          event.stopPropagation();
          close();
        }
      }}
      onBlur={(event) => {
        if (event.relatedTarget !== null && !event.currentTarget.contains(event.relatedTarget)) {
          setOpen(false);
        }
      }}
    >
      <button
        className={className}
        style={style}
        aria-label={label}
        title={label}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        onClick={() => {
          setOpen(!isOpen);
        }}
      >
        {children}
      </button>
      {isOpen && (
        <div className="list panel">
          {head !== undefined && <div className="head">{head}</div>}
          <div role="menu" aria-label={label}>
          {items.map(({ id, label: name, icon: Icon, run }) => (
            <button
              key={id ?? name}
              role="menuitem"
              tabIndex={-1}
              onClick={() => {
                close();
                run();
              }}
            >
              <Icon size={16} aria-hidden />
              {name}
            </button>
          ))}
          </div>
        </div>
      )}
    </div>
  );
}
