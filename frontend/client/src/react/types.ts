/** The options and the result of `useFlow`. */

import type { Edge, Node, OnConnect, OnEdgesChange, OnNodesChange, OnReconnect } from "@xyflow/react";

import type {
  Cursor, FlowEdge, FlowNode, FlowState, FlowStatus, FlowSyncOptions, JsonObject, Member, SyncedFlow,
} from "../types.js";

/** Options of `useFlow`. Those of the first render count, as in `useState`. */
export interface UseFlowOptions<N extends Node = Node, E extends Edge = Edge>
  extends Omit<FlowSyncOptions, "initial"> {
  /** The first nodes of a flow that nobody has edited yet. */
  initialNodes?: N[];
  /** Its edges. */
  initialEdges?: E[];
  /**
   * Turns a node of the document into what `nodes` contains, besides this person's own fields; by default
   * `sanitizeNode`. The result is shown, and doesn't change the document.
   */
  sanitizeNode?: (node: FlowNode) => JsonObject;
  /** The same for an edge; by default `sanitizeEdge`. */
  sanitizeEdge?: (edge: FlowEdge) => JsonObject;
}

/** One flow for React Flow, in step with everybody else. */
export interface UseFlowResult<N extends Node = Node, E extends Edge = Edge> {
  /**
   * The nodes for `<ReactFlow nodes>`: the document's, with this person's own fields (selection,
   * dragging, measured sizes), and where others drag them now.
   *
   * An unchanged node stays the very same object.
   */
  nodes: N[];
  /** The edges for `<ReactFlow edges>`, likewise. */
  edges: E[];
  /**
   * For `<ReactFlow onNodesChange>`. A drag or a resize becomes one patch when it ends; others see it
   * while it lasts. Changes by `updateNodeData` are gathered, as typing is.
   */
  onNodesChange: OnNodesChange<N>;
  /** For `<ReactFlow onEdgesChange>`. */
  onEdgesChange: OnEdgesChange<E>;
  /** For `<ReactFlow onConnect>`: adds the edge, unless one with the same ends exists. */
  onConnect: OnConnect;
  /** For `<ReactFlow onReconnect>`: reconnects an edge. */
  onReconnect: OnReconnect<E>;
  status: FlowStatus;
  role: FlowState["role"];
  may: FlowState["may"];
  paths: FlowState["paths"];
  members: FlowState["members"];
  /** Others' pointers, by client_id. */
  cursors: FlowState["cursors"];
  /** This tab among the members; `null` until the server has sent them. */
  self: Member | null;
  document: FlowState["document"];
  undo: () => void;
  redo: () => void;
  canUndo: boolean;
  canRedo: boolean;
  /** Show others one's pointer, in the flow's coordinates (`screenToFlowPosition`). */
  setCursor: (cursor: Cursor | null) => void;
  /** Everything else: patches, events, presence, `retryNow`. */
  sync: SyncedFlow;
}
