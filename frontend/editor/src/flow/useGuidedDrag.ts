import type { Node, NodeChange, NodePositionChange, XYPosition } from "@xyflow/react";
import type { UseFlowResult } from "helix-flows/react";
import { useCallback, useRef, useState } from "react";

import { type Box, frameOf, NODE_SIZE } from "../drawing";
import { align, type Alignment } from "./alignment";

type Drag = NodePositionChange & { position: XYPosition };

function isDrag(change: NodeChange): change is Drag {
  return change.type === "position" && change.dragging === true && change.position !== undefined;
}

function boxOf({ position, width = NODE_SIZE.width, height = NODE_SIZE.height }: Node): Box {
  return { ...position, width, height };
}

/** Say that a drag has ended, where its nodes were drawn to. */
function dropped(change: NodeChange): NodeChange {
  return change.type === "position" ? { type: "position", id: change.id, dragging: false } : change;
}

/** Draw what is dragged, one node or many, into line with the others, and tell the lines. */
export function useGuidedDrag(nodes: readonly Node[], onNodesChange: UseFlowResult["onNodesChange"]) {
  const [guides, setGuides] = useState<Alignment | null>(null);
  /** What a drag can be drawn into line with; `null` while there is none. */
  const others = useRef<Box[] | null>(null);
  const change = useCallback(
    (changes: NodeChange[]): void => {
      const drags = changes.filter(isDrag);
      if (drags.length === 0 || drags.length < changes.length) {
        onNodesChange(others.current === null ? changes : changes.map(dropped));
        return;
      }
      const byId = new Map(nodes.map((node) => [node.id, node]));
      const parent = byId.get(drags[0]?.id ?? "")?.parentId;
      const boxes = drags.flatMap(({ id, position }) => {
        const node = byId.get(id);
        return node === undefined || node.parentId !== parent ? [] : [[id, { ...boxOf(node), ...position }] as [string, Box]];
      });
      const dragged = new Map(boxes);
      others.current ??= nodes.filter(({ id, parentId }) => !dragged.has(id) && parentId === parent).map(boxOf);
      const frame = frameOf(dragged, 0);
      const alignment = align(frame, others.current);
      const [x, y] = [alignment.x - frame.x, alignment.y - frame.y];
      const isAsBefore = (before: Alignment | null): boolean => before?.vertical === alignment.vertical && before.horizontal === alignment.horizontal;
      setGuides((before) => (isAsBefore(before) ? before : alignment));
      onNodesChange(drags.map((one) => (dragged.has(one.id) ? { ...one, position: { x: one.position.x + x, y: one.position.y + y } } : one)));
    },
    [nodes, onNodesChange],
  );
  const endDrag = useCallback(() => {
    others.current = null;
    setGuides(null);
  }, []);
  return { change, guides, endDrag };
}
