import {
  type Connection, type Edge, type Node, ReactFlow, SelectionMode, useReactFlow, useStore,
  ViewportPortal,
} from "@xyflow/react";
import { type FlowDocument, own, type SyncedFlow } from "helix-flows";
import type { UseFlowResult } from "helix-flows/react";
import { memo, type RefObject, useCallback, useLayoutEffect, useMemo, useRef, useState } from "react";

import { Guard } from "../../Guard";
import type { MenuPlace } from "../commands/ContextMenu";
import { GRID } from "../edits/placing";
import type { Actions } from "../edits/useActions";
import { DRAGGED_KIND } from "../panels/Palette";
import { Others } from "../people/Others";
import { type Arrangement, arrangementOf, extentOf } from "./arrangement";
import { Dots } from "./Dots";
import { edgeTypes, elementsOf, ledTo, nodeTypes, shownEdges, shownNodes } from "./elements";
import { FarPicture } from "./FarPicture";
import { MAX_ZOOM, MIN_ZOOM, READABLE_ZOOM, viewOfFlow } from "./fit";
import { Minimap } from "./Minimap";
import { givenIn } from "./sight";
import { useArea } from "./useArea";
import { type DragSigns, useGuidedDrag } from "./useGuidedDrag";
import { useLongTouch } from "./useLongTouch";

/** From this many nodes on, only visible ones are drawn, and React Flow gets only those nearby. */
const MANY_NODES = 300;

/** Below these zooms, nodes are drawn without small details, and without any content. */
const FAR_ZOOM = 0.4;
const TINY_ZOOM = 0.25;

function distanceOf(zoom: number): "" | "far" | "far tiny" {
  return zoom < TINY_ZOOM ? "far tiny" : zoom < FAR_ZOOM ? "far" : "";
}

/** Ids that break the selector by which React Flow looks for the handle that a new edge snaps to. */
const UNSELECTABLE = /["\\\n\r\f]/;

/** A distance within which nothing is: edges are led to the very handle then. */
const NOWHERE = -1;

const SNAP: [number, number] = [GRID, GRID];

interface Props {
  sync: SyncedFlow;
  nodes: readonly Node[];
  edges: readonly Edge[];
  document: FlowDocument | null;
  /** An earlier version to show, in place of the current one. */
  past: FlowDocument | null;
  isLocked: boolean;
  /** Edges can be drawn. */
  isConnectable: boolean;
  /** Dragging over the canvas selects, rather than moves it. */
  isBoxing: boolean;
  calls: Pick<UseFlowResult, "onNodesChange" | "onEdgesChange" | "onConnect" | "onReconnect" | "setCursor">;
  actions: RefObject<Actions>;
  onMenu: (place: MenuPlace) => void;
  /** Edit the label of a node or an edge on the canvas. */
  onRename: (id: string) => void;
}

/** The canvas that draws and edits the flow. It renders again only when its props change. */
export const Canvas = memo(function Canvas(props: Props) {
  const { sync, nodes, edges, document, past, isLocked, isConnectable, isBoxing, calls, actions, onMenu, onRename } = props;
  const { screenToFlowPosition } = useReactFlow();
  const distance = useStore((state) => distanceOf(state.transform[2]));
  const canvas = useRef<HTMLDivElement>(null);
  const shown = useMemo(() => (past === null ? { nodes, edges } : elementsOf(past)), [past, nodes, edges]);
  const [arrange] = useState(arranging);
  const arrangement = arrange(shown.nodes);
  const isMany = shown.nodes.length > MANY_NODES;
  const area = useArea(isMany ? extentOf(arrangement) : null);
  const given = useMemo(
    () => (area === null ? undefined : givenIn(arrangement, shown.edges, area)),
    [arrangement, shown.edges, area],
  );
  const drawnNodes = useMemo(() => shownNodes(arrangement, given), [arrangement, given]);
  const drawnEdges = useMemo(() => shownEdges(given?.edges ?? shown.edges, past ?? document), [given, shown.edges, past, document]);
  const { change, signs, endDrag } = useGuidedDrag(document, nodes, calls.onNodesChange);
  useFirstView(document);

  const reconnect = useCallback(
    (edge: Edge, connection: Connection) => {
      calls.onReconnect(edge, ledTo(own(sync.state.document?.edges, edge.id), connection));
    },
    [calls, sync],
  );
  const showMenu = (event: React.MouseEvent | MouseEvent, id?: string): void => {
    const { selected, select } = actions.current;
    if (id !== undefined && !selected.includes(id)) {
      select([id]);
    }
    onMenu({ x: event.clientX, y: event.clientY });
  };
  const openMenu = (event: React.MouseEvent | MouseEvent, id?: string): void => {
    event.preventDefault();
    // Browsers that report a long touch do so in addition to the touch itself.
    const { pointerType } = ("nativeEvent" in event ? event.nativeEvent : event) as Partial<PointerEvent>;
    if (pointerType !== "touch") {
      showMenu(event, id);
    }
  };
  const touching = useLongTouch((event) => {
    const element = event.target instanceof Element ? event.target.closest(".react-flow__node, .react-flow__edge") : null;
    showMenu(event, element?.getAttribute("data-id") ?? undefined);
  });
  const rename = (id: string): void => {
    if (!isLocked) {
      onRename(id);
    }
  };
  const isSnapping = useMemo(() => !nodes.some(({ id }) => UNSELECTABLE.test(id)), [nodes]);
  return (
    <ReactFlow
      ref={canvas}
      className={distance}
      nodes={drawnNodes}
      edges={drawnEdges}
      nodeTypes={nodeTypes}
      edgeTypes={edgeTypes}
      {...(past === null ? { onNodesChange: change, onEdgesChange: calls.onEdgesChange, onConnect: calls.onConnect } : {})}
      {...(isLocked ? {} : { onReconnect: reconnect })}
      nodesDraggable={!isLocked}
      nodesConnectable={!isLocked && isConnectable}
      edgesReconnectable={false}
      elementsSelectable={past === null}
      deleteKeyCode={null}
      elevateNodesOnSelect={false}
      zIndexMode="manual"
      selectionMode={SelectionMode.Partial}
      multiSelectionKeyCode={MULTI_KEYS}
      selectionOnDrag={isBoxing}
      panOnDrag={isBoxing ? MIDDLE_BUTTON : true}
      panOnScroll
      snapToGrid
      snapGrid={SNAP}
      connectionRadius={isSnapping ? 32 : NOWHERE}
      reconnectRadius={14}
      minZoom={MIN_ZOOM}
      maxZoom={MAX_ZOOM}
      ariaLabelConfig={ARIA}
      autoPanOnNodeFocus={false}
      onlyRenderVisibleElements={isMany}
      onNodeDragStop={endDrag}
      onSelectionDragStop={endDrag}
      onMoveStart={() => { canvas.current?.setAttribute("data-moving", ""); }}
      onMoveEnd={() => { canvas.current?.removeAttribute("data-moving"); }}
      onNodeContextMenu={(event, { id }) => { openMenu(event, id); }}
      onEdgeContextMenu={(event, { id }) => { openMenu(event, id); }}
      onSelectionContextMenu={(event) => { openMenu(event); }}
      onPaneContextMenu={(event) => { openMenu(event); }}
      onNodeDoubleClick={(_, { id }) => { rename(id); }}
      onEdgeDoubleClick={(_, { id }) => { rename(id); }}
      {...touching}
      onPointerMove={(event) => { calls.setCursor(screenToFlowPosition({ x: event.clientX, y: event.clientY }, { snapToGrid: false })); }}
      onPointerLeave={() => { calls.setCursor(null); }}
      onDragOver={(event) => { event.preventDefault(); event.dataTransfer.dropEffect = "copy"; }}
      onDrop={(event) => {
        event.preventDefault();
        const type = event.dataTransfer.getData(DRAGGED_KIND);
        if (type !== "" && !isLocked) {
          actions.current.drop(type, { x: event.clientX, y: event.clientY });
        }
      }}
    >
      <Dots />
      {distance === "far tiny" && <FarPicture arrangement={arrangement} edges={shown.edges} />}
      <Minimap arrangement={arrangement} />
      {past === null && <Guard of={document}><Others sync={sync} /></Guard>}
      <Signs {...signs} />
    </ReactFlow>
  );
});

const MULTI_KEYS = ["Shift", "Control", "Meta"];
const MIDDLE_BUTTON = [1];
const ARIA = {
  "node.a11yDescription.default": "Press Enter to select, Shift+Enter to select more, arrow keys to move, F2 to edit the label, Alt+Enter to edit the properties.",
  "edge.a11yDescription.default": "Press Enter to select, F2 to edit the label, Alt+Enter to edit the properties.",
};

/** Make a function that gives the arrangement of nodes, from the arrangement it gave before. */
function arranging(): (nodes: readonly Node[]) => Arrangement {
  let before: readonly Node[] | undefined;
  return (nodes) => {
    const arrangement = arrangementOf(nodes, before);
    before = nodes;
    return arrangement;
  };
}

/** Bring the flow into view once it is loaded, before it is painted. */
function useFirstView(document: FlowDocument | null): void {
  const { setViewport } = useReactFlow();
  const isReady = useStore((state) => state.panZoom !== null);
  const isDone = useRef(false);
  useLayoutEffect(() => {
    if (document !== null && isReady && !isDone.current) {
      isDone.current = true;
      void setViewport(viewOfFlow(document, READABLE_ZOOM));
    }
  }, [document, isReady, setViewport]);
}

/** The length of guides to each side, in the flow's units. */
const FAR = 20_000;

/** The guides of a drag, and the groups that the dragged nodes enter or leave. */
function Signs({ guides, groups }: DragSigns) {
  const { getZoom } = useReactFlow();
  if (guides === null) {
    return null;
  }
  const { vertical, horizontal } = guides;
  const width = 1 / getZoom();
  return (
    <ViewportPortal>
      {groups.map(({ id, box: { x, y, ...size }, isEntered }) => (
        <div key={id} className={isEntered ? "entered" : "left-behind"} style={{ transform: `translate(${x}px, ${y}px)`, ...size, borderWidth: 2 * width }} />
      ))}
      {vertical !== null && <div className="guide" style={{ left: vertical, top: -FAR, width, height: 2 * FAR }} />}
      {horizontal !== null && <div className="guide" style={{ top: horizontal, left: -FAR, height: width, width: 2 * FAR }} />}
    </ViewportPortal>
  );
}
