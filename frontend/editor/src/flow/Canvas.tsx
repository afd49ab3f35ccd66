import { Background, BackgroundVariant, MiniMap, type Node, type NodeChange, ReactFlow, SelectionMode, useReactFlow, useStore, ViewportPortal } from "@xyflow/react";
import type { FlowDocument } from "helix-flows";
import type { UseFlowResult } from "helix-flows/react";
import { useCallback, useMemo, useState } from "react";

import { NODE_SIZE } from "../drawing";
import { kindOf } from "../kinds";
import { align, type Alignment } from "./alignment";
import { elementsOf, namedEdges, namedNodes, nodeTypes } from "./elements";
import { Others } from "./Others";
import { DRAGGED_KIND } from "./Palette";
import { FIT } from "./fit";
import type { Actions } from "./useActions";

/** From how many nodes on only those in sight are drawn. */
const MANY_NODES = 300;

/** From how far away on nodes are drawn without what is too small to see. */
const FAR_ZOOM = 0.4;

interface Props {
  flow: UseFlowResult;
  /** A version to look at, in place of what is now. */
  past: FlowDocument | null;
  isLocked: boolean;
  actions: Actions;
  /** One has moved the canvas oneself. */
  onPan: () => void;
}

function boxOf(node: Node) {
  const { width = NODE_SIZE.width, height = NODE_SIZE.height } = node.measured ?? {};
  return { ...node.position, width, height };
}

/** Where the flow is drawn and changed. */
export function Canvas({ flow, past, isLocked, actions, onPan }: Props) {
  const { sync, setCursor, onNodesChange } = flow;
  const { screenToFlowPosition } = useReactFlow();
  const isFar = useStore((state) => state.transform[2] < FAR_ZOOM);
  const [guides, setGuides] = useState<Alignment | null>(null);
  const shown = useMemo(() => (past === null ? { nodes: flow.nodes, edges: flow.edges } : elementsOf(past)), [past, flow.nodes, flow.edges]);
  const nodes = useMemo(() => namedNodes(shown.nodes), [shown.nodes]);
  const edges = useMemo(() => namedEdges(shown.edges, past ?? flow.document), [shown.edges, past, flow.document]);

  const change = useCallback(
    (changes: NodeChange[]): void => {
      const [first] = changes;
      const isDrag = changes.length === 1 && first?.type === "position" && first.dragging === true && first.position !== undefined;
      const node = isDrag ? flow.nodes.find(({ id }) => id === first.id) : undefined;
      if (isDrag && node !== undefined && first.position !== undefined) {
        const others = flow.nodes.filter((one) => one !== node && one.parentId === node.parentId).map(boxOf);
        const alignment = align({ ...boxOf(node), ...first.position }, others);
        setGuides(alignment);
        onNodesChange([{ ...first, position: { x: alignment.x, y: alignment.y } }]);
        return;
      }
      onNodesChange(changes);
    },
    [flow.nodes, onNodesChange],
  );

  return (
    <ReactFlow
      className={isFar ? "far" : ""}
      nodes={nodes}
      edges={edges}
      nodeTypes={nodeTypes}
      {...(past === null ? { onNodesChange: change, onEdgesChange: flow.onEdgesChange, onConnect: flow.onConnect } : {})}
      nodesDraggable={!isLocked}
      nodesConnectable={!isLocked}
      elementsSelectable={past === null}
      deleteKeyCode={null}
      selectionMode={SelectionMode.Partial}
      multiSelectionKeyCode={["Shift", "Control", "Meta"]}
      panOnScroll
      snapToGrid
      snapGrid={[8, 8]}
      minZoom={0.1}
      maxZoom={2.5}
      fitView
      fitViewOptions={FIT}
      onlyRenderVisibleElements={nodes.length > MANY_NODES}
      onNodeDragStop={() => { setGuides(null); }}
      onSelectionDragStop={() => { setGuides(null); }}
      onMoveStart={(event) => {
        // React Flow's own moves, such as those that follow somebody, have no event.
        if (event !== null) {
          onPan();
        }
      }}
      onPointerMove={(event) => { setCursor(screenToFlowPosition({ x: event.clientX, y: event.clientY }, { snapToGrid: false })); }}
      onPointerLeave={() => { setCursor(null); }}
      onDragOver={(event) => { event.preventDefault(); event.dataTransfer.dropEffect = "copy"; }}
      onDrop={(event) => {
        event.preventDefault();
        const type = event.dataTransfer.getData(DRAGGED_KIND);
        if (type !== "" && !isLocked) {
          const { x, y } = screenToFlowPosition({ x: event.clientX, y: event.clientY });
          actions.add(type, { x: x - NODE_SIZE.width / 2, y: y - NODE_SIZE.height / 2 });
        }
      }}
    >
      <Background variant={BackgroundVariant.Dots} gap={16} size={2} color="var(--dot)" />
      <MiniMap pannable zoomable ariaLabel="Map of the flow" nodeColor={(node) => `var(--${kindOf(node.type).type})`} nodeBorderRadius={12} />
      {past === null && <Others sync={sync} />}
      {guides !== null && <Guides {...guides} />}
    </ReactFlow>
  );
}

/** How far guides go, in the flow's own units. */
const FAR = 20_000;

function Guides({ vertical, horizontal }: Alignment) {
  const { getZoom } = useReactFlow();
  const width = 1 / getZoom();
  return (
    <ViewportPortal>
      {vertical !== null && <div className="guide" style={{ left: vertical, top: -FAR, width, height: 2 * FAR }} />}
      {horizontal !== null && <div className="guide" style={{ top: horizontal, left: -FAR, height: width, width: 2 * FAR }} />}
    </ViewportPortal>
  );
}
