import type { UseFlowResult } from "helix-flows/react";
import { Ellipsis } from "lucide-react";

import { Menu } from "../../ui/Menu";
import type { Command } from "../commands/command";
import { Status } from "../status/Status";
import { CommandButton } from "./CommandButton";
import { IN_MENU } from "./TopBar";

interface Props {
  flow: UseFlowResult;
  commands: readonly Command[];
  isViewer: boolean;
}

/** What is left of the top bar in another product: the status, and the commands for this flow. */
export function EmbeddedBar({ flow: { sync, status, paths }, commands, isViewer }: Props) {
  const named = (ids: readonly string[]): Command[] => ids.flatMap((id) => commands.find((one) => one.id === id) ?? []);
  return (
    <header className="bar embedded panel">
      <Status sync={sync} status={status} refusals={sync.state.refusals} isViewer={isViewer} />
      {paths !== null && !isViewer && (
        <span className="count" title={`You may change only ${paths.join(", ")}`}>Partly read only</span>
      )}
      {named(["undo", "redo"]).map((command) => <CommandButton key={command.id} command={command} />)}
      <Menu label="More" items={named(IN_MENU).filter(({ isEnabled }) => isEnabled)}>
        <Ellipsis size={16} />
      </Menu>
    </header>
  );
}
