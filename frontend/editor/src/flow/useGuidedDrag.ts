import { type Node, type NodeChange, type NodePositionChange, useReactFlow, type XYPosition } from "@xyflow/react";
import type { UseFlowResult } from "helix-flows/react";
import { useCallback, useRef, useState } from "react";

import { type Box, frameOf, sizeOf } from "../drawing";
import { align, type Alignment } from "./alignment";

type Drag = NodePositionChange & { position: XYPosition };

function isDrag(change: NodeChange): change is Drag {
  return change.type === "position" && change.dragging === true && change.position !== undefined;
}

function boxOf(node: Node): Box {
  return { ...node.position, ...sizeOf(node) };
}

/** Say that a drag has ended, where its nodes were drawn to. */
function dropped(change: NodeChange): NodeChange {
  return change.type === "position" ? { type: "position", id: change.id, dragging: false } : change;
}

function moved(line: number | null, by: number): number | null {
  return line === null ? null : line + by;
}

/** Draw what is dragged, one node or many, into line with the others, and tell the lines. */
export function useGuidedDrag(nodes: readonly Node[], onNodesChange: UseFlowResult["onNodesChange"]) {
  const [guides, setGuides] = useState<Alignment | null>(null);
  const { getInternalNode } = useReactFlow();
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
      // What lies in another node is drawn by that one's place, and so are its guides.
      const origin = getInternalNode(parent ?? "")?.internals.positionAbsolute ?? { x: 0, y: 0 };
      const shown = { ...alignment, vertical: moved(alignment.vertical, origin.x), horizontal: moved(alignment.horizontal, origin.y) };
      const isAsBefore = (before: Alignment | null): boolean => before?.vertical === shown.vertical && before.horizontal === shown.horizontal;
      setGuides((before) => (isAsBefore(before) ? before : shown));
      onNodesChange(drags.map((one) => (dragged.has(one.id) ? { ...one, position: { x: one.position.x + x, y: one.position.y + y } } : one)));
    },
    [nodes, onNodesChange, getInternalNode],
  );
  const endDrag = useCallback(() => {
    others.current = null;
    setGuides(null);
  }, []);
  return { change, guides, endDrag };
}
