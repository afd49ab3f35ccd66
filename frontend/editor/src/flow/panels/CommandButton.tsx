import type { Command } from "../commands/command";
import { keyWords } from "../commands/keys";

/** A command in a bar. */
export function CommandButton({ command, isPressed }: { command: Command; isPressed?: boolean | undefined }) {
  const { label, icon: Icon, keys, isEnabled, run } = command;
  return (
    <button
      className="icon-button"
      aria-label={label}
      title={`${label} (${keyWords(keys[0] ?? "").join(" ")})`}
      disabled={!isEnabled}
      onClick={() => { run(); }}
      {...(isPressed === undefined ? {} : { "aria-pressed": isPressed })}
    >
      <Icon size={16} />
    </button>
  );
}
