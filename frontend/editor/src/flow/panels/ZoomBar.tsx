import { useStore } from "@xyflow/react";
import { BoxSelect, Lock, LockOpen, type LucideIcon, Maximize, Minus, Plus } from "lucide-react";

import type { Command } from "../commands/command";
import { keyWords } from "../commands/keys";

interface Props {
  commands: readonly Command[];
  isLocked: boolean;
  isBoxing: boolean;
}

/** Buttons for zoom, dragging mode and lock. */
export function ZoomBar({ commands, isLocked, isBoxing }: Props) {
  const zoom = useStore((state) => Math.round(state.transform[2] * 100));
  const button = (id: string, Icon: LucideIcon, isPressed?: boolean, name?: string) => {
    const command = commands.find((one) => one.id === id);
    if (command === undefined) {
      return null;
    }
    const { label, keys, isEnabled, run } = command;
    const pressed = isPressed === undefined ? {} : { "aria-pressed": isPressed };
    return (
      <button
        className={`icon-button ${id}`}
        aria-label={name ?? label}
        title={`${name ?? label} (${keyWords(keys[0] ?? "").join(" ")})`}
        disabled={!isEnabled}
        onClick={() => { run(); }}
        {...pressed}
      >
        <Icon size={16} />
      </button>
    );
  };
  const one = commands.find(({ id }) => id === "zoom-one");
  return (
    <div className="zoom panel" role="group" aria-label="View">
      {button("zoom-out", Minus)}
      <button className="level" aria-label={`Zoom is ${zoom} %. Zoom to 100 %`} title="Zoom to 100 %" onClick={() => { one?.run(); }}>
        {zoom}%
      </button>
      {button("zoom-in", Plus)}
      {button("fit", Maximize)}
      {button("box", BoxSelect, isBoxing, "Select by dragging")}
      {button("lock", isLocked ? Lock : LockOpen, isLocked)}
    </div>
  );
}
