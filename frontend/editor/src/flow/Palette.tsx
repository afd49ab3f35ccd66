import { KINDS } from "../kinds";

/** What a drag from the palette carries. */
export const DRAGGED_KIND = "application/x-helix-kind";

/** The kinds of nodes: click, or drag onto the canvas. */
export function Palette({ onAdd }: { onAdd: (type: string) => void }) {
  return (
    <nav className="palette panel" aria-label="Nodes">
      <h2>Nodes</h2>
      <div className="kinds">
        {KINDS.map(({ type, name, icon: Icon }) => (
          <button
            key={type}
            draggable
            onClick={() => { onAdd(type); }}
            onDragStart={(event) => {
              event.dataTransfer.setData(DRAGGED_KIND, type);
              event.dataTransfer.effectAllowed = "copy";
            }}
          >
            <span className={`kind-icon ${type}`} data-kind={type}>
              <Icon size={14} aria-hidden />
            </span>
            {name}
          </button>
        ))}
      </div>
    </nav>
  );
}
