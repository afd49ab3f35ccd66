import { type FlowDocument, type FlowEdge, type FlowNode, own, sanitizeNode } from "helix-flows";
import { useFlow } from "helix-flows/react";
import { lazy, type RefObject, Suspense, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { flushSync } from "react-dom";

import { personOf, useIdentity } from "../access/identity";
import { useEnding } from "../access/useEnding";
import { isEmbedded } from "../address";
import { reasonOf } from "../api";
import { tokens } from "../credentials";
import { Guard } from "../Guard";
import { labelOf } from "../kinds";
import { openFlow } from "../opened";
import { rename } from "../person";
import { server } from "../server";
import { Question } from "../ui/Question";
import { tell } from "../ui/Toasts";
import { useUnsent } from "../useUnsent";
import { numbered } from "../words";
import { Canvas } from "./canvas/Canvas";
import { elementOf, LabelEditor } from "./canvas/LabelEditor";
import { useKeptInSight } from "./canvas/useKeptInSight";
import { useTabbedInSight } from "./canvas/useTabbedInSight";
import { useViews } from "./canvas/useViews";
import { Choices } from "./commands/Choices";
import type { Sheet } from "./commands/command";
import { commandsOf } from "./commands/commands";
import { ContextMenu, menuOf, type MenuPlace } from "./commands/ContextMenu";
import { Finds } from "./commands/Finds";
import { keyWords } from "./commands/keys";
import { KeySheet } from "./commands/KeySheet";
import { useShortcuts } from "./commands/useShortcuts";
import { type Actions, useActions } from "./edits/useActions";
import { History } from "./history/History";
import { useDropped } from "./history/useDropped";
import { EmbeddedBar } from "./panels/EmbeddedBar";
import { Palette } from "./panels/Palette";
import { Properties } from "./panels/Properties";
import { TemplateChoices } from "./panels/TemplateChoices";
import { TopBar } from "./panels/TopBar";
import { ZoomBar } from "./panels/ZoomBar";
import { Naming } from "./people/Naming";
import { Followed } from "./people/People";
import { useConflicts } from "./people/useConflicts";
import { useFollow } from "./people/useFollow";
import { addable, mayConnect, mayMove, mayReconnect, mayRestore, reachOf, ReachProvider, within } from "./reach";
import { Announcer } from "./status/announce";
import { BrokenCanvas } from "./status/Broken";
import { Closed, Ended, Held, Waiting } from "./status/Closed";

const ShareDialog = lazy(() => import("./sharing/ShareDialog"));

/** State of the canvas that isn't part of the flow. */
interface Canvassing {
  /** Nothing on the canvas may be changed by accident. */
  isLocked: boolean;
  /** Dragging over the canvas selects. */
  isBoxing: boolean;
  /** The node or edge whose label is edited on the canvas. */
  renamed: string | null;
  menu: MenuPlace | null;
}

const CALM: Canvassing = { isLocked: false, isBoxing: false, renamed: null, menu: null };

/** The editor of one flow, together with everybody else in it. */
export function Editor({ flowId }: { flowId: string }) {
  const identity = useIdentity();
  const { me, guest } = identity;
  const [user] = useState(() => personOf(identity));
  const [place] = useState(() => ({ ...server(), token: guest === null ? tokens() : () => guest.token() }));
  const flow = useFlow(flowId, { user, ...place, sanitizeNode: asItIsCalled });
  useUnsent(flowId);
  const { sync, document, nodes, edges, status, members } = flow;
  const [sheet, setSheet] = useState<Sheet>(null);
  const [isHistoryOpen, setHistoryOpen] = useState(false);
  const [past, setPast] = useState<FlowDocument | null>(null);
  const [canvas, setCanvas] = useState(CALM);
  const [fieldsClosedFor, setFieldsClosedFor] = useState("");
  const { isLocked, isBoxing, renamed, menu } = canvas;
  const ending = useEnding(sync, status);
  const mayEdit = flow.may?.includes("edit") ?? true;
  const isReadOnly = !mayEdit || past !== null || status.kind === "closed" || ending !== null;
  // Until it is loaded, nobody would see what they change.
  const isAbsent = document === null;
  const isFixed = isReadOnly || isLocked || isAbsent;
  const isShared = flow.may?.includes("manage") === true && ending === null;
  if (sheet === "share" && !isShared) {
    setSheet(null);
  }
  const follow = useFollow(sync);
  const { paths } = flow;
  const reach = useMemo(() => reachOf(paths, document), [paths, document]);
  const actions = useActions(flow, isFixed, (id) => mayMove(reach, id));
  const views = useViews(flow, actions);
  const { dropped } = sync.state;
  const kinds = useMemo(() => addable(paths), [paths]);
  const drawn = useMemo(
    () => (paths === null ? nodes : nodes.map((node) => (mayMove(reach, node.id) ? node : { ...node, draggable: false }))),
    [paths, nodes, reach],
  );
  const drawnEdges = useMemo(
    () => (paths === null ? edges : edges.map((edge) => (mayReconnect(reach, edge.id) ? edge : { ...edge, reconnectable: false }))),
    [paths, edges, reach],
  );
  useConflicts(sync);
  useDropped(sync, dropped, views.restore);
  const latest = useLatest(actions);

  useEffect(() => openFlow(sync), [sync]);
  const title = document?.title ?? "";
  useEffect(() => {
    window.document.title = title === "" ? "Helix" : `${title} · Helix`;
  }, [title]);

  const { selected } = actions;
  const key = JSON.stringify(selected);
  const ask = useCallback((change: Partial<Canvassing>) => { setCanvas((before) => ({ ...before, ...change })); }, []);
  const closeHistory = (): void => {
    setHistoryOpen(false);
    setPast(null);
  };
  const commands = within(commandsOf(actions, views, flow, {
    isReadOnly: isReadOnly || isAbsent,
    isOpen: me === null && guest === null,
    isShared,
    hasHome: me !== null || guest === null,
    isLocked,
    setLocked: (next) => { ask({ isLocked: next }); },
    isBoxing,
    setBoxing: (next) => { ask({ isBoxing: next }); },
    show: setSheet,
    toggleHistory: isHistoryOpen ? closeHistory : () => { setHistoryOpen(true); },
    rename: () => { ask({ renamed: selected[0] ?? null }); },
    openProperties: () => {
      flushSync(() => { setFieldsClosedFor(""); });
      window.document.querySelector<HTMLElement>(".properties .fields :is(input, textarea, select)")?.focus();
    },
  }), paths, document, selected);
  useShortcuts(commands, actions, sheet === null && menu === null);

  const chosen = useMemo(() => chosenOf(document, key), [document, key]);
  const names = useMemo(() => new Map(Object.values(document?.nodes ?? {}).map((node) => [node.id, labelOf(node)])), [document]);
  const areProperties = past === null && fieldsClosedFor !== key && selected.length > 0 && renamed === null;
  if (renamed !== null && (own(document?.nodes, renamed) ?? own(document?.edges, renamed)) === undefined) {
    // Somebody else deleted it meanwhile.
    ask({ renamed: null });
  }
  useKeptInSight(areProperties && selected.length === 1 ? (selected[0] ?? "") : "");
  useTabbedInSight();
  /** Let others see another name. */
  const called = (name: string): void => {
    if (guest === null) {
      sync.setPresence({ name });
      return;
    }
    // Its name is in its token, with which it comes in again.
    guest.rename(name).then(
      () => {
        sync.stop();
        sync.start();
      },
      (error: unknown) => { tell(`Couldn't change your name: ${reasonOf(error)}`); },
    );
  };
  const { setCursor, onNodesChange, onEdgesChange, onConnect, onReconnect } = flow;
  const calls = useMemo(
    () => ({ setCursor, onNodesChange, onEdgesChange, onConnect, onReconnect }),
    [setCursor, onNodesChange, onEdgesChange, onConnect, onReconnect],
  );

  return (
    <div className="editor">
      {isEmbedded ? <EmbeddedBar flow={flow} commands={commands} isViewer={!mayEdit} /> : (
        <TopBar
          flow={flow}
          commands={commands}
          past={past}
          isViewer={!mayEdit}
          isReadOnly={isReadOnly || !reach(["title"])}
          isHistoryOpen={isHistoryOpen}
          followed={follow.followed}
          onFollow={follow.follow}
          onRename={() => { setSheet("name"); }}
        />
      )}
      <main className="stage">
        <h1 className="hidden">{title}</h1>
        {!isReadOnly && kinds.size > 0 && <Palette kinds={kinds} isLocked={isFixed} onAdd={actions.add} onDrop={actions.drop} onTemplate={() => { setSheet("templates"); }} />}
        <Guard
          of={past ?? document}
          stand={(error, retry) => <BrokenCanvas document={past ?? document} error={error} onRetry={retry} />}
          onFail={() => { sync.doubtKept(); }}
        >
          <Canvas
            sync={sync}
            nodes={drawn}
            edges={drawnEdges}
            document={document}
            past={past}
            isLocked={isFixed}
            isConnectable={mayConnect(reach)}
            isBoxing={isBoxing}
            calls={calls}
            actions={latest}
            onMenu={useCallback((place: MenuPlace) => { ask({ menu: place }); }, [ask])}
            onRename={useCallback((id: string) => { ask({ renamed: id }); }, [ask])}
          />
        </Guard>
        {renamed !== null && !isFixed && reach(own(document.nodes, renamed) === undefined ? ["edges", renamed, "label"] : ["nodes", renamed, "data", "label"]) && (
          <LabelEditor
            key={renamed}
            sync={sync}
            id={renamed}
            label={(own(document.nodes, renamed)?.data ?? own(document.edges, renamed))?.["label"]}
            onLabel={(label) => { actions.relabel(renamed, label); }}
            onClose={() => { ask({ renamed: null }); }}
          />
        )}
        {areProperties && (
          <ReachProvider value={reach}>
            <Properties
              sync={sync}
              onReconnect={onReconnect}
              nodes={chosen.nodes}
              edges={chosen.edges}
              names={names}
              members={members}
              commands={commands}
              isReadOnly={isFixed}
              onClose={() => { setFieldsClosedFor(key); elementOf(selected[0] ?? "")?.focus({ preventScroll: true }); }}
            />
          </ReachProvider>
        )}
        {document !== null && nodes.length === 0 && past === null && (
          <div className="hint">
            <b>This flow is empty</b>
            {!isFixed && (
              <>
                <span className="by-mouse">Click a node on the left, or drag it here. {keyWords("Mod+K").join(" ")} lists all commands.</span>
                <span className="by-touch">Add the first node with +.</span>
              </>
            )}
          </div>
        )}
        <Guard of={members}><Followed members={members} followed={follow.followed} onStop={() => { follow.follow(null); }} /></Guard>
        <ZoomBar commands={commands} isLocked={isLocked} isBoxing={isBoxing} />
        {isHistoryOpen && <History flowId={flowId} version={sync.state.version} namesChanged={sync.state.namesChanged} isReadOnly={!mayEdit} mayRestore={mayRestore(paths, document, past)} onShow={setPast} onClose={closeHistory} />}
        {status.kind === "closed" && ending === null && <Closed sync={sync} status={status} document={document} />}
        {status.kind === "held" && ending === null && <Held sync={sync} status={status} />}
        {ending !== null && <Ended ending={ending} status={status} />}
        {status.kind === "offline" && ending === null && document === null && <Waiting status={status} onRetry={sync.retryNow} />}
      </main>
      {menu !== null && (
        <ContextMenu place={menu} commands={menuOf(commands, selected.length > 0)} onClose={() => { ask({ menu: null }); }} />
      )}
      <Announcer />
      {sheet === "keys" && <KeySheet commands={commands} onClose={() => { setSheet(null); }} />}
      {sheet === "commands" && <Choices title="Commands" placeholder="A command's name" choices={commands.filter((one) => one.isEnabled)} onClose={() => { setSheet(null); }} />}
      {sheet === "find" && <Finds nodes={nodes} onReveal={views.reveal} onClose={() => { setSheet(null); }} />}
      {sheet === "templates" && (
        <TemplateChoices onInsert={(name, template) => { latest.current.insert(name, template); }} onClose={() => { setSheet(null); }} />
      )}
      {sheet === "arrange" && (
        <Question
          title="Arrange the whole flow?"
          text={`This puts ${numbered(nodes.length, "node")} in order, from left to right, for everybody. To arrange only some, select them first.`}
          answer="Arrange"
          onAnswer={() => { actions.layOut(views.fit); }}
          onClose={() => { setSheet(null); }}
        />
      )}
      {sheet === "groups" && <Choices title="Move into a group" placeholder="A group's label" choices={actions.groupChoices()} onClose={() => { setSheet(null); }} />}
      {sheet === "name" && (
        <Naming
          onClose={() => { setSheet(null); }}
          onName={(name) => { called(rename(name).name); }}
        />
      )}
      {sheet === "share" && (
        <Suspense fallback={null}>
          <ShareDialog flowId={flowId} title={title} members={members} onClose={() => { setSheet(null); }} />
        </Suspense>
      )}
    </div>
  );
}

/** Keep labels of every type for React Flow: `FlowNode` writes them as text. */
function asItIsCalled(node: FlowNode): FlowNode {
  return { ...sanitizeNode(node), data: node.data };
}

/** Give a document's nodes and edges by ids, which are given as JSON. */
function chosenOf(document: FlowDocument | null, key: string): { nodes: FlowNode[]; edges: FlowEdge[] } {
  const ids = JSON.parse(key) as string[];
  return {
    nodes: ids.flatMap((id) => own(document?.nodes, id) ?? []),
    edges: ids.flatMap((id) => own(document?.edges, id) ?? []),
  };
}

/** Keep the latest value for later calls, without new callbacks. */
function useLatest(actions: Actions): RefObject<Actions> {
  const latest = useRef(actions);
  useLayoutEffect(() => {
    latest.current = actions;
  }, [actions]);
  return latest;
}
