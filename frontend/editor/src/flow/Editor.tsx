import { useReactFlow } from "@xyflow/react";
import type { FlowDocument, FlowEdge, FlowNode } from "helix-flows";
import { useFlow } from "helix-flows/react";
import { Plus } from "lucide-react";
import { useEffect, useMemo, useState } from "react";

import { openFlow } from "../opened";
import { rename, thePerson } from "../person";
import { Canvas } from "./Canvas";
import { Choices } from "./Choices";
import { Closed, Waiting } from "./Closed";
import { commandsOf } from "./commands";
import { FIT_SMOOTHLY } from "./fit";
import { History } from "./History";
import { KeySheet } from "./KeySheet";
import { Naming } from "./Naming";
import { Palette } from "./Palette";
import { Followed } from "./People";
import { Properties } from "./Properties";
import { TopBar } from "./TopBar";
import { useActions } from "./useActions";
import { useFollow } from "./useFollow";
import { useShortcuts } from "./useShortcuts";
import { ZoomBar } from "./ZoomBar";

export type Sheet = "commands" | "find" | "keys" | "name" | null;

/** Edits one flow, together with everybody else who is in it. */
export function Editor({ flowId }: { flowId: string }) {
  const [user] = useState(thePerson);
  const flow = useFlow(flowId, { user });
  const { sync, document, nodes, edges, status, members } = flow;
  const [sheet, setSheet] = useState<Sheet>(null);
  const [isHistoryOpen, setHistoryOpen] = useState(false);
  const [past, setPast] = useState<FlowDocument | null>(null);
  const [isLocked, setLocked] = useState(false);
  const [isAdding, setAdding] = useState(false);
  const [fieldsClosedFor, setFieldsClosedFor] = useState("");
  const { fitView } = useReactFlow();
  const isViewer = sync.state.role === "viewer";
  const isReadOnly = isViewer || past !== null || status.kind === "closed";
  const follow = useFollow(sync);
  const actions = useActions(flow, isReadOnly);

  useEffect(() => openFlow(sync), [sync]);
  const title = document?.title ?? "";
  useEffect(() => {
    window.document.title = title === "" ? "Helix" : `${title} · Helix`;
  }, [title]);

  const { selected } = actions;
  const key = selected.join();
  const closeHistory = (): void => {
    setHistoryOpen(false);
    setPast(null);
  };
  const commands = commandsOf(actions, flow, {
    isReadOnly,
    isLocked,
    setLocked,
    show: setSheet,
    fit: () => void fitView(FIT_SMOOTHLY),
    toggleHistory: isHistoryOpen ? closeHistory : () => { setHistoryOpen(true); },
  });
  useShortcuts(commands, actions, sheet === null);

  const chosenNodes = useMemo(
    () => nodes.filter((node) => node.selected).map(({ id }) => document?.nodes[id]).filter((node): node is FlowNode => node !== undefined),
    [nodes, document],
  );
  const chosenEdges = useMemo(
    () => edges.filter((edge) => edge.selected).map(({ id }) => document?.edges[id]).filter((edge): edge is FlowEdge => edge !== undefined),
    [edges, document],
  );
  const areProperties = past === null && fieldsClosedFor !== key && selected.length > 0;

  return (
    <div className="editor">
      <TopBar
        flow={flow}
        commands={commands}
        isViewer={isViewer}
        isHistoryOpen={isHistoryOpen}
        followed={follow.followed}
        onFollow={follow.follow}
        onRename={() => { setSheet("name"); }}
      />
      <main className={isAdding ? "stage adding" : "stage"}>
        <h1 className="hidden">{title}</h1>
        <Canvas flow={flow} past={past} isLocked={isLocked || isReadOnly} actions={actions} onPan={() => { follow.follow(null); }} />
        {!isReadOnly && (
          <>
            <Palette onAdd={(type) => { actions.add(type); setAdding(false); }} />
            <button className="add" aria-label="Add a node" aria-expanded={isAdding} onClick={() => { setAdding(!isAdding); }}>
              <Plus size={24} />
            </button>
          </>
        )}
        {areProperties && (
          <Properties
            sync={sync}
            nodes={chosenNodes}
            edges={chosenEdges}
            members={members}
            isReadOnly={isReadOnly}
            onClose={() => { setFieldsClosedFor(key); }}
          />
        )}
        {document !== null && nodes.length === 0 && past === null && (
          <div className="hint">
            <b>An empty flow</b>
            <span>Drag a node from the palette, or press Ctrl K.</span>
          </div>
        )}
        <Followed members={members} followed={follow.followed} onStop={() => { follow.follow(null); }} />
        <ZoomBar isLocked={isLocked} onLock={setLocked} />
        {isHistoryOpen && <History flowId={flowId} version={sync.state.version} namesChanged={sync.state.namesChanged} onShow={setPast} onClose={closeHistory} />}
        {status.kind === "closed" && <Closed status={status} document={document} />}
        {status.kind === "offline" && document === null && <Waiting status={status} onRetry={sync.retryNow} />}
      </main>
      {sheet === "keys" && <KeySheet commands={commands} onClose={() => { setSheet(null); }} />}
      {sheet === "commands" && <Choices title="Commands" placeholder="What to do" choices={commands.filter((one) => one.isEnabled)} onClose={() => { setSheet(null); }} />}
      {sheet === "find" && <Choices title="Find in the flow" placeholder="A node's label, kind or content" choices={actions.finds()} onClose={() => { setSheet(null); }} />}
      {sheet === "name" && (
        <Naming
          onClose={() => { setSheet(null); }}
          onName={(name) => { sync.setPresence({ name: rename(name).name }); }}
        />
      )}
    </div>
  );
}
