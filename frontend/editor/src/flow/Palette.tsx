import { keyWords } from "./keys";
import { KIND_KEYS } from "./useActions";

/** What a drag from the palette carries. */
export const DRAGGED_KIND = "application/x-helix-kind";

interface Props {
  isLocked: boolean;
  onAdd: (type: string) => void;
}

/** The kinds of nodes: click, or drag onto the canvas. Arrows go from one to the next. */
export function Palette({ isLocked, onAdd }: Props) {
  return (
    <nav
      className="palette panel"
      aria-label="Nodes"
      onKeyDown={(event) => {
        const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
        if (step !== undefined && !event.altKey && !event.ctrlKey) {
          event.preventDefault();
          const all = [...event.currentTarget.querySelectorAll("button")];
          const at = all.findIndex((one) => one === document.activeElement);
          all.at((at + step) % all.length)?.focus();
        }
      }}
    >
      <h2>Nodes</h2>
      <div className="kinds">
        {KIND_KEYS.map(({ kind: { type, name, icon: Icon }, keys }) => (
          <button
            key={type}
            draggable={!isLocked}
            disabled={isLocked}
            title={`${name} (${keyWords(keys).join(" ")})`}
            onClick={() => { onAdd(type); }}
            onDragStart={(event) => {
              event.dataTransfer.setData(DRAGGED_KIND, type);
              event.dataTransfer.effectAllowed = "copy";
            }}
          >
            <span className={`kind-icon ${type}`} data-kind={type}>
              <Icon size={14} aria-hidden />
            </span>
            <span className="name">{name}</span>
          </button>
        ))}
      </div>
    </nav>
  );
}
