/** What `useFlow` takes and gives. */

import type { Edge, Node, OnConnect, OnEdgesChange, OnNodesChange, OnReconnect } from "@xyflow/react";

import type {
  Cursor, FlowEdge, FlowNode, FlowState, FlowStatus, FlowSyncOptions, JsonObject, Member, SyncedFlow,
} from "../types.js";

/** `useFlow`'s options. Those of the first render count, as in `useState`. */
export interface UseFlowOptions<N extends Node = Node, E extends Edge = Edge>
  extends Omit<FlowSyncOptions, "initial"> {
  /** The nodes that a flow begins with which nobody has edited yet. */
  initialNodes?: N[];
  /** Its edges. */
  initialEdges?: E[];
  /**
   * Makes of a node of the document what `nodes` has of it, beside what is this person's own; by default
   * `sanitizeNode`. What it makes is shown, and changes nothing in the document.
   */
  sanitizeNode?: (node: FlowNode) => JsonObject;
  /** Likewise of an edge; by default `sanitizeEdge`. */
  sanitizeEdge?: (edge: FlowEdge) => JsonObject;
}

/** One flow for React Flow, in step with everybody else's. */
export interface UseFlowResult<N extends Node = Node, E extends Edge = Edge> {
  /**
   * The nodes for `<ReactFlow nodes>`: the document's, with what is this person's own (selection,
   * dragging, measured sizes), and where others drag them at the moment.
   *
   * A node that hasn't changed is the very same object as before.
   */
  nodes: N[];
  /** The edges for `<ReactFlow edges>`, likewise. */
  edges: E[];
  /**
   * For `<ReactFlow onNodesChange>`. A drag or a resize becomes one patch when it ends; until then
   * others see it as it goes. What `updateNodeData` changes is gathered, as typing is.
   */
  onNodesChange: OnNodesChange<N>;
  /** For `<ReactFlow onEdgesChange>`. */
  onEdgesChange: OnEdgesChange<E>;
  /** For `<ReactFlow onConnect>`: adds the edge, unless there is one of the same ends. */
  onConnect: OnConnect;
  /** For `<ReactFlow onReconnect>`: leads an edge elsewhere. */
  onReconnect: OnReconnect<E>;
  status: FlowStatus;
  members: FlowState["members"];
  /** Others' pointers, by client_id. */
  cursors: FlowState["cursors"];
  /** This tab among the members, once the server has told; `null` before. */
  self: Member | null;
  document: FlowState["document"];
  undo: () => void;
  redo: () => void;
  canUndo: boolean;
  canRedo: boolean;
  /** Show others one's pointer, in the flow's coordinates (`screenToFlowPosition`). */
  setCursor: (cursor: Cursor | null) => void;
  /** All else: patches, events, presence, `retryNow`. */
  sync: SyncedFlow;
}
