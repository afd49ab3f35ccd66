import { Dialog } from "../ui/Dialog";
import type { Command } from "./commands";
import { keyWords } from "./keys";

/** All keys. */
export function KeySheet({ commands, onClose }: { commands: readonly Command[]; onClose: () => void }) {
  const others: readonly [string, string][] = [
    ["Next node or edge", "Tab"],
    ["Select it", "Enter"],
    ["Move what is selected", "Arrows"],
    ["Select more", "Shift+Click"],
  ];
  const rows = [...commands.map(({ label, keys: [first = ""] }) => [label, first] as const), ...others];
  return (
    <Dialog title="Keys" isWide onClose={onClose}>
      <div className="body keys">
        {rows.map(([label, keys]) => (
          <div key={label}>
            {label}
            <span>{keyWords(keys).map((key) => <kbd key={key}>{key}</kbd>)}</span>
          </div>
        ))}
      </div>
    </Dialog>
  );
}
