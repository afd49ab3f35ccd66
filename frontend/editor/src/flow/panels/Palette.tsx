import { LayoutTemplate, Plus, Search } from "lucide-react";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";

import { CATEGORIES, type Kind, kindOf } from "../../kinds";
import { store, stored } from "../../storage";
import { useTouchDrag } from "../canvas/useTouchDrag";
import { keyWords } from "../commands/keys";
import { KIND_KEYS } from "../edits/useActions";

/** The data type of a drag from the palette. */
export const DRAGGED_KIND = "application/x-helix-kind";

/** The storage key of closed headings. */
const CLOSED_KEY = "helix-palette-closed";

type Offered = (typeof KIND_KEYS)[number];

/** Find kinds by letters of their name, category, description and fields. */
function matching(typed: string): Offered[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const found = KIND_KEYS.filter(({ kind: { name, category, about, fields } }) => {
    const text = [name, category, about, ...fields.map(({ label }) => label)].join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const isByName = ({ kind }: Offered): boolean => kind.name.toLowerCase().startsWith(words[0] ?? "");
  return found.toSorted((a, b) => Number(isByName(b)) - Number(isByName(a)));
}

interface Props {
  /** The kinds that may be added. */
  kinds: ReadonlySet<string>;
  isLocked: boolean;
  onAdd: (type: string) => void;
  /** A kind was dropped on the canvas, at that place in the window. */
  onDrop: (type: string, at: { x: number; y: number }) => void;
  /** Open the choice of templates. */
  onTemplate: () => void;
}

/**
 * The kinds of nodes, in groups: click one, or drag it onto the canvas. Arrow keys move between them. The field finds
 * kinds by letters, and Enter there adds the first one.
 *
 * On a phone it is a sheet: a button opens it, and Escape or a press beside it closes it.
 */
export function Palette({ kinds: allowed, isLocked, onAdd, onDrop, onTemplate }: Props) {
  const [isOpen, setOpen] = useState(false);
  const [typed, setTyped] = useState("");
  const [closed, setClosed] = useState(() => (stored(CLOSED_KEY) ?? "").split("\n"));
  const list = useRef<HTMLElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const { dragged, handlers } = useTouchDrag((type, at) => {
    setOpen(false);
    onDrop(type, at);
  });
  useEffect(() => {
    if (isOpen) {
      list.current?.querySelector<HTMLElement>("[open] button, .template")?.focus({ preventScroll: true });
    }
  }, [isOpen]);
  const close = (): void => {
    setOpen(false);
    opener.current?.focus({ preventScroll: true });
  };
  const choose = (run: () => void): void => {
    if (isOpen) {
      close();
    }
    run();
  };
  const isSearching = typed.trim() !== "";
  const found = matching(typed).filter(({ kind }) => allowed.has(kind.type));
  const press = (event: KeyboardEvent): void => {
    const isInField = event.target instanceof HTMLInputElement;
    const step = { ArrowDown: 1, ArrowUp: -1, ...(isInField ? {} : { ArrowRight: 1, ArrowLeft: -1 }) }[event.key];
    if (step !== undefined && !event.altKey && !event.ctrlKey) {
      event.preventDefault();
      const all = [...(list.current?.querySelectorAll<HTMLElement>("summary, [open] button, .kinds > button, .template") ?? [])];
      const at = all.findIndex((one) => one === document.activeElement);
      // From the field to its first result.
      const first = all.findIndex((one) => one.tagName === "BUTTON");
      all.at(isInField ? (step > 0 ? first : -1) : (at + step) % all.length)?.focus();
    } else if (event.key === "Enter" && isInField && !isLocked) {
      event.preventDefault();
      const [best] = found;
      if (isSearching && best !== undefined) {
        setTyped("");
        choose(() => { onAdd(best.kind.type); });
      }
    } else if (event.key === "Escape" && isSearching) {
      event.stopPropagation();
      setTyped("");
    } else if (event.key === "Escape" && isOpen) {
      event.stopPropagation();
      close();
    }
  };
  const toggle = (category: string, isNowOpen: boolean): void => {
    const others = closed.filter((one) => one !== category);
    const next = isNowOpen ? others : [...others, category];
    setClosed(next);
    store(CLOSED_KEY, next.join("\n"));
  };
  const kinds = { isLocked, handlers, onChoose: (type: string) => { choose(() => { onAdd(type); }); } };
  return (
    <>
      {isOpen && dragged === null && <div className="beside" onPointerDown={() => { setOpen(false); }} />}
      <nav ref={list} className={isOpen ? "palette panel open" : "palette panel"} aria-label="Nodes" onKeyDown={press}>
        <h2>Nodes</h2>
        <label className="find">
          <Search size={14} aria-hidden />
          <span className="hidden">Find a node to add</span>
          <input type="search" placeholder="Find" value={typed} disabled={isLocked} onChange={({ target }) => { setTyped(target.value); }} />
        </label>
        {isSearching ? <Kinds offered={found} {...kinds} /> : CATEGORIES.map((category) => (
          <details
            key={category}
            open={!closed.includes(category)}
            onToggle={({ currentTarget: { open } }) => {
              if (open === closed.includes(category)) {
                toggle(category, open);
              }
            }}
          >
            <summary><h3>{category}</h3></summary>
            <Kinds offered={KIND_KEYS.filter(({ kind }) => kind.category === category && allowed.has(kind.type))} {...kinds} />
          </details>
        ))}
        {isSearching && found.length === 0 && <p className="muted">No nodes match.</p>}
        <button className="template" disabled={isLocked} onClick={() => { choose(onTemplate); }}>
          <span className="kind-icon other"><LayoutTemplate size={14} aria-hidden /></span>
          <span className="name">Insert a template</span>
        </button>
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

interface KindsProps {
  offered: readonly Offered[];
  isLocked: boolean;
  handlers: ReturnType<typeof useTouchDrag>["handlers"];
  onChoose: (type: string) => void;
}

function Kinds({ offered, isLocked, handlers, onChoose }: KindsProps) {
  return (
    <div className="kinds">
      {offered.map(({ kind, keys }) => (
        <button
          key={kind.type}
          draggable={!isLocked}
          disabled={isLocked}
          title={`${kind.name}: ${kind.about} (${keyWords(keys).join(" ")})`}
          onClick={() => { onChoose(kind.type); }}
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
