import { Plus } from "lucide-react";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";

import { type Kind, kindOf } from "../kinds";
import { keyWords } from "./keys";
import { KIND_KEYS } from "./useActions";
import { useTouchDrag } from "./useTouchDrag";

/** What a drag from the palette carries. */
export const DRAGGED_KIND = "application/x-helix-kind";

interface Props {
  isLocked: boolean;
  onAdd: (type: string) => void;
  /** One was let go over the canvas, there in the window. */
  onDrop: (type: string, at: { x: number; y: number }) => void;
}

/**
 * The kinds of nodes: click, or drag onto the canvas. Arrows go from one to the next.
 *
 * On a phone it is a sheet, which a button opens and Escape, or a press beside it, closes.
 */
export function Palette({ isLocked, onAdd, onDrop }: Props) {
  const [isOpen, setOpen] = useState(false);
  const list = useRef<HTMLElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const { dragged, handlers } = useTouchDrag((type, at) => {
    setOpen(false);
    onDrop(type, at);
  });
  useEffect(() => {
    if (isOpen) {
      list.current?.querySelector("button")?.focus({ preventScroll: true });
    }
  }, [isOpen]);
  const close = (): void => {
    setOpen(false);
    opener.current?.focus({ preventScroll: true });
  };
  const press = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (step !== undefined && !event.altKey && !event.ctrlKey) {
      event.preventDefault();
      const all = [...(list.current?.querySelectorAll("button") ?? [])];
      const at = all.findIndex((one) => one === document.activeElement);
      all.at((at + step) % all.length)?.focus();
    } else if (event.key === "Escape" && isOpen) {
      event.stopPropagation();
      close();
    }
  };
  return (
    <>
      {isOpen && dragged === null && <div className="beside" onPointerDown={() => { setOpen(false); }} />}
      <nav ref={list} className={isOpen ? "palette panel open" : "palette panel"} aria-label="Nodes" onKeyDown={press}>
        <h2>Nodes</h2>
        <div className="kinds">
          {KIND_KEYS.map(({ kind, keys }) => (
            <button
              key={kind.type}
              draggable={!isLocked}
              disabled={isLocked}
              title={`${kind.name} (${keyWords(keys).join(" ")})`}
              onClick={() => {
                if (isOpen) {
                  close();
                }
                onAdd(kind.type);
              }}
              onDragStart={(event) => {
                event.dataTransfer.setData(DRAGGED_KIND, kind.type);
                event.dataTransfer.effectAllowed = "copy";
              }}
              {...handlers(kind.type)}
            >
              <Named kind={kind} />
            </button>
          ))}
        </div>
      </nav>
      <button ref={opener} className="add" aria-label="Add a node" aria-expanded={isOpen} onClick={() => { setOpen(true); }}>
        <Plus size={24} />
      </button>
      {dragged !== null && (
        <div className="dragged panel" style={{ left: dragged.x, top: dragged.y }} aria-hidden>
          <Named kind={kindOf(dragged.type)} />
        </div>
      )}
    </>
  );
}

function Named({ kind: { type, name, icon: Icon } }: { kind: Kind }) {
  return (
    <>
      <span className={`kind-icon ${type}`} data-kind={type}>
        <Icon size={14} aria-hidden />
      </span>
      <span className="name">{name}</span>
    </>
  );
}
