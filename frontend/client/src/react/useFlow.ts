/** `useFlow`: the hook that connects React Flow to a flow. */

import type { Edge, Node } from "@xyflow/react";
import { useEffect, useMemo, useState, useSyncExternalStore } from "react";

import { isEmpty } from "../model/mergepatch.js";
import type { Tellable } from "../model/telling.js";
import { FlowSync } from "../sync/sync.js";
import type { FlowState, JsonObject, SyncedFlow } from "../types.js";
import { listenForCancels } from "./cancelling.js";
import { FlowController } from "./controller.js";
import { shared, sharedNode } from "./personal.js";
import { Refusing } from "./refusing.js";
import type { UseFlowOptions, UseFlowResult } from "./types.js";

/**
 * Join a flow for as long as the component is mounted.
 *
 * @param flowId the flow's id; a new id opens the other flow from the beginning.
 * @param options those of the first render count.
 */
export function useFlow<N extends Node = Node, E extends Edge = Edge>(
  flowId: string,
  options: UseFlowOptions<N, E> = {},
): UseFlowResult<N, E> {
  const [first] = useState(options);
  const controller = useMemo(() => {
    const { initialNodes = [], initialEdges = [], sanitizeNode, sanitizeEdge, ...rest } = first;
    const refusing = new Refusing();
    const initial = initialOf(initialNodes, initialEdges, refusing);
    const flow = new FlowSync(flowId, { ...rest, initial });
    refusing.tell(flow);
    return new FlowController<N, E>(flow, {
      ...(sanitizeNode === undefined ? {} : { node: sanitizeNode }),
      ...(sanitizeEdge === undefined ? {} : { edge: sanitizeEdge }),
    });
  }, [flowId, first]);
  const { sync } = controller;
  useEffect(() => {
    const end = controller.start();
    const flush = (): void => {
      sync.flush();
    };
    document.addEventListener("focusout", flush);
    const endCancels = listenForCancels(controller.cancelGesture, controller.beginGesture);
    return () => {
      endCancels();
      document.removeEventListener("focusout", flush);
      end();
    };
  }, [controller, sync]);
  const { nodes, edges } = useSyncExternalStore(controller.subscribe, () => controller.shown);
  const state = useFlowState(sync, (whole) => whole);
  return useMemo(
    () => ({
      nodes,
      edges,
      onNodesChange: controller.onNodesChange,
      onEdgesChange: controller.onEdgesChange,
      onConnect: controller.onConnect,
      onReconnect: controller.onReconnect,
      status: state.status,
      role: state.role,
      may: state.may,
      paths: state.paths,
      members: state.members,
      cursors: state.cursors,
      self: state.members.find(({ isSelf }) => isSelf) ?? null,
      document: state.document,
      undo: () => void sync.undo(),
      redo: () => void sync.redo(),
      canUndo: state.canUndo,
      canRedo: state.canRedo,
      setCursor: controller.setCursor,
      sync,
    }),
    [nodes, edges, controller, state, sync],
  );
}

/**
 * Read a part of a flow's state; the component renders again when that part changes.
 *
 * @param select gives the part: the same object while it is unchanged.
 */
export function useFlowState<T>(sync: SyncedFlow, select: (state: FlowState) => T): T {
  return useSyncExternalStore(sync.subscribe, () => select(sync.state));
}

function initialOf(
  nodes: readonly Node[],
  edges: readonly Edge[],
  refusing: Refusing,
): JsonObject {
  const told = (element: Node | Edge, what: Tellable): [string, JsonObject][] => {
    const value = refusing.take(what);
    return isEmpty(value) ? [] : [[element.id, value]];
  };
  return {
    nodes: Object.fromEntries(nodes.flatMap((node) => told(node, sharedNode(node)))),
    edges: Object.fromEntries(edges.flatMap((edge) => told(edge, shared(edge)))),
  };
}
