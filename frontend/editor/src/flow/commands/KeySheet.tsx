import { Dialog } from "../../ui/Dialog";
import type { Command } from "./command";
import { keyWords } from "./keys";

interface Row {
  group: string;
  label: string;
  keys: readonly string[];
}

/** What isn't a command: mouse actions, and the browser's own keys. */
const OTHERS: readonly Row[] = [
  { group: "Navigate", label: "Next node, edge or button", keys: ["Tab"] },
  { group: "Navigate", label: "Select it; with Shift, add it to the selection", keys: ["Enter", "Shift+Enter"] },
  { group: "Mouse", label: "Add to the selection", keys: ["Shift+Click"] },
  { group: "Mouse", label: "Select with a box", keys: ["Shift+Drag"] },
  { group: "Mouse", label: "Move into or out of a group", keys: ["Drag"] },
  { group: "Mouse", label: "Edit a label", keys: ["Double click"] },
  { group: "Mouse", label: "Open the menu", keys: ["Right click", "Shift+F10"] },
  { group: "Mouse", label: "Zoom", keys: ["Ctrl+Wheel"] },
  { group: "Mouse", label: "Reconnect a selected edge", keys: ["Drag its end"] },
];

/** The list of all keyboard shortcuts. */
export function KeySheet({ commands, onClose }: { commands: readonly Command[]; onClose: () => void }) {
  const rows: readonly Row[] = [...commands, ...OTHERS];
  const groups = [...new Set(rows.map(({ group }) => group))];
  return (
    <Dialog title="Keyboard shortcuts" isWide onClose={onClose}>
      <div className="body keys" tabIndex={0} role="region" aria-label="All keyboard shortcuts">
        {groups.map((name) => (
          <section key={name}>
            <h3>{name}</h3>
            {rows.filter(({ group }) => group === name).map(({ label, keys }) => (
              <div key={label}>
                {label}
                <span>
                  {keys.map((one, n) => (
                    <span key={one}>
                      {n > 0 && <i>or</i>}
                      {keyWords(one).map((key) => <kbd key={key}>{key}</kbd>)}
                    </span>
                  ))}
                </span>
              </div>
            ))}
          </section>
        ))}
      </div>
    </Dialog>
  );
}
