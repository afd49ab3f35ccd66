import type { FlowDocument, SyncedFlow } from "helix-flows";
import { type UseFlowResult, useText } from "helix-flows/react";
import { ChevronLeft, Ellipsis, Link2, Share2 } from "lucide-react";
import { useMemo } from "react";

import { isKnown, useIdentity } from "../../access/identity";
import { follow, HOME } from "../../address";
import { LONGEST_TITLE } from "../../api";
import { Guard } from "../../Guard";
import { Mark } from "../../ui/Mark";
import { Menu } from "../../ui/Menu";
import { ThemeButton } from "../../ui/ThemeButton";
import { numbered } from "../../words";
import { useNarrow } from "../canvas/fit";
import type { Command } from "../commands/command";
import { isInputMethods } from "../commands/keys";
import { People } from "../people/People";
import { Status } from "../status/Status";
import { CommandButton } from "./CommandButton";

interface Props {
  flow: UseFlowResult;
  commands: readonly Command[];
  /** The shown version, if it isn't the current one. */
  past: FlowDocument | null;
  isViewer: boolean;
  isReadOnly: boolean;
  isHistoryOpen: boolean;
  followed: string | null;
  onFollow: (clientId: string | null) => void;
  onRename: () => void;
}

/** What the menu has, by the ids of commands. */
export const IN_MENU = ["template", "find", "history", "layout", "theme", "png", "svg", "copy-picture", "json", "keys", "commands"];

/** More items of the menu, if there is no room for buttons. */
const IN_MENU_ONLY = ["undo", "redo", "access", "share"];

/** The top bar: title, status, commands and people. */
export function TopBar({ flow, commands, past, isViewer, isReadOnly, isHistoryOpen, followed, onFollow, onRename }: Props) {
  const { sync, status, members } = flow;
  const document = past ?? flow.document;
  const count = useMemo(() => ({ nodes: Object.keys(document?.nodes ?? {}).length, edges: Object.keys(document?.edges ?? {}).length }), [document]);
  const isNarrow = useNarrow();
  const identity = useIdentity();
  const menu = [...(isNarrow ? IN_MENU_ONLY : []), ...IN_MENU];
  const named = (id: string): Command | undefined => commands.find((one) => one.id === id);
  // Who may not share the flow has only its address to give.
  const isAddressOnly = isKnown(identity) && named("access") === undefined;
  const button = (id: string, isPressed?: boolean) => {
    const command = named(id);
    return command === undefined ? null : <CommandButton command={command} isPressed={isPressed} />;
  };
  return (
    <header className="bar">
      {named("home")?.isEnabled === true && (
        <a className="icon-button" href={HOME} onClick={follow} aria-label="All flows" title="All flows">
          <ChevronLeft size={18} />
        </a>
      )}
      <span className="brand-mark"><Mark /></span>
      <Title sync={sync} title={document?.title ?? null} isDisabled={document === null || isReadOnly} />
      <Status sync={sync} status={status} refusals={sync.state.refusals} isViewer={isViewer} />
      {flow.paths !== null && !isViewer && (
        <span className="count" title={`You may change only ${flow.paths.join(", ")}`}>Partly read only</span>
      )}
      {document !== null && (
        <span className="count">
          {numbered(count.nodes, "node")} · {numbered(count.edges, "edge")}
        </span>
      )}
      <span className="space" />
      {button("undo")}
      {!isNarrow && button("redo")}
      <hr />
      <span className="wide">
        {button("find")}
        {button("layout")}
        {button("history", isHistoryOpen)}
        <ThemeButton />
      </span>
      <hr />
      <Guard of={members} stand={() => <span className="count">People can't be shown</span>}>
        <People members={members} followed={followed} onFollow={onFollow} onRename={onRename} />
      </Guard>
      <Menu label="More" items={menu.flatMap((id) => named(id) ?? []).filter(({ isEnabled }) => isEnabled)}>
        <Ellipsis size={16} />
      </Menu>
      {!isNarrow && (
        <button className="button primary" onClick={() => (named("access") ?? named("share"))?.run()}>
          {isAddressOnly ? <Link2 size={15} aria-hidden /> : <Share2 size={15} aria-hidden />} <span>{isAddressOnly ? "Copy link" : "Share"}</span>
        </button>
      )}
    </header>
  );
}

/** The flow's title. Escape undoes what one has typed, and nothing of others. */
function Title({ sync, title: known, isDisabled }: { sync: SyncedFlow; title: string | null; isDisabled: boolean }) {
  const title = known ?? "";
  const { field, takeBack } = useText<HTMLInputElement>(title, (text) => { sync.gather("title", { title: text }, { isText: true }); });
  return (
    <input
      className="title"
      aria-label="Title of the flow"
      placeholder={known === null ? "" : "Untitled flow"}
      maxLength={LONGEST_TITLE}
      title={title}
      {...field}
      disabled={isDisabled}
      onBlur={() => {
        field.onBlur();
        sync.flush();
      }}
      onKeyDown={(event) => {
        if ((event.key !== "Enter" && event.key !== "Escape") || isInputMethods(event)) {
          return;
        }
        if (event.key === "Escape") {
          takeBack();
        }
        event.currentTarget.blur();
      }}
    />
  );
}
