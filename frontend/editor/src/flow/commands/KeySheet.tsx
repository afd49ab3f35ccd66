import { Dialog } from "../../ui/Dialog";
import type { Command } from "./command";
import { keyWords } from "./keys";

interface Row {
  group: string;
  label: string;
  keys: readonly string[];
}

/** What is no command: the mouse's, and the browser's own keys. */
const OTHERS: readonly Row[] = [
  { group: "Move about", label: "Next node, edge or button", keys: ["Tab"] },
  { group: "Move about", label: "Select it; with Shift, select more", keys: ["Enter", "Shift+Enter"] },
  { group: "Mouse", label: "Select more", keys: ["Shift+Click"] },
  { group: "Mouse", label: "Select all within a box", keys: ["Shift+Drag"] },
  { group: "Mouse", label: "Move into a group, or out of it", keys: ["Drag"] },
  { group: "Mouse", label: "Edit a label", keys: ["Double click"] },
  { group: "Mouse", label: "What can be done here", keys: ["Right click", "Shift+F10"] },
  { group: "Mouse", label: "Zoom", keys: ["Ctrl+Wheel"] },
  { group: "Mouse", label: "Reconnect a selected edge", keys: ["Drag its end"] },
];

/** All keys. */
export function KeySheet({ commands, onClose }: { commands: readonly Command[]; onClose: () => void }) {
  const rows: readonly Row[] = [...commands, ...OTHERS];
  const groups = [...new Set(rows.map(({ group }) => group))];
  return (
    <Dialog title="Keys" isWide onClose={onClose}>
      <div className="body keys" tabIndex={0} role="region" aria-label="All keys">
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
