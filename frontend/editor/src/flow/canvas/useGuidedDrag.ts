import { type Node, type NodeChange, type NodePositionChange, useStoreApi, type XYPosition } from "@xyflow/react";
import type { FlowDocument } from "helix-flows";
import type { UseFlowResult } from "helix-flows/react";
import { useCallback, useRef, useState } from "react";

import { type Box, frameOf, sizeOf } from "../../drawing";
import { labelOf } from "../../kinds";
import { placesIn, withInside } from "../../nesting";
import { goingInto } from "../edits/landing";
import { announce, counted } from "../status/announce";
import { align, type Alignment, type Lines, linesOf } from "./alignment";
import { arrangementOf } from "./arrangement";
import { joined } from "./chains";

type Drag = NodePositionChange & { position: XYPosition };

/** What is shown during a drag, besides the dragged nodes. */
export interface DragSigns {
  /** The guides that it snaps to. */
  guides: Alignment | null;
  /** The groups that the nodes will enter or leave at the drop. */
  groups: readonly { id: string; box: Box; isEntered: boolean }[];
}

const NOTHING: DragSigns = { guides: null, groups: [] };

/** The current drag. */
interface Dragged {
  /** The document's nodes at that moment. */
  of: FlowDocument["nodes"];
  /** The dragged nodes, and everything inside them. */
  carried: ReadonlySet<string>;
  /** What it can snap to. */
  lines: Lines;
  /** The nodes that will change their group, by id: the new group, and the place on the canvas. */
  going: ReadonlyMap<string, { group: string | undefined; at: XYPosition }>;
}

function isDrag(change: NodeChange): change is Drag {
  return change.type === "position" && change.dragging === true && change.position !== undefined;
}

function isDrop(change: NodeChange): change is NodePositionChange {
  return change.type === "position" && change.dragging === false;
}

/**
 * Snap dragged nodes to the others, and put them into the group over which they are dropped. A node that expands its
 * group, or is bound to it, stays in it.
 */
export function useGuidedDrag(document: FlowDocument | null, nodes: readonly Node[], onNodesChange: UseFlowResult["onNodesChange"]) {
  const [signs, setSigns] = useState(NOTHING);
  const store = useStoreApi();
  /** The current drag; `null` if there is none. */
  const dragged = useRef<Dragged | null>(null);

  const show = (next: DragSigns): void => {
    setSigns((before) => (JSON.stringify(before) === JSON.stringify(next) ? before : next));
  };
  const change = useCallback(
    (given: NodeChange[]): void => {
      const arrangement = arrangementOf(nodes);
      const { nodeLookup } = store.getState();
      const changes = joined(given, arrangement, (id) => arrangement.get(id)?.parent !== undefined && nodeLookup.has(id) && nodeLookup.get(id)?.parentId === undefined);
      const originOf = (parent: string | undefined): XYPosition => arrangement.get(parent ?? "")?.box ?? { x: 0, y: 0 };
      const nodeOf = (id: string | undefined): Node | undefined => arrangement.get(id ?? "")?.node;
      const boxOf = (node: Node, position = node.position): Box => {
        const { x, y } = originOf(node.parentId);
        return { x: x + position.x, y: y + position.y, ...sizeOf(node) };
      };
      if (document !== null && changes.length > 0 && changes.every(isDrag)) {
        const boxes = new Map(changes.flatMap(({ id, position }) => {
          const node = nodeOf(id);
          return node === undefined ? [] : [[id, boxOf(node, position)]];
        }));
        const before = dragged.current;
        if (before !== null && !changes.some(({ id }) => nodeOf(id)?.dragging === true)) {
          // The drag was cancelled, and the button is still down.
          setSigns(NOTHING);
          onNodesChange(changes);
          return;
        }
        // Children of dragged nodes move with them, so nothing snaps to them.
        const carried = before?.of === document.nodes ? before.carried : withInside(boxes.keys(), placesIn(document));
        const lines = before?.lines ?? linesOf(nodes.filter(({ id }) => !carried.has(id)).map((node) => boxOf(node)));
        const frame = frameOf(boxes, 0);
        const guides = align(frame, lines);
        const [x, y] = [guides.x - frame.x, guides.y - frame.y];
        const drawn = new Map([...boxes].map(([id, box]) => [id, { ...box, x: box.x + x, y: box.y + y }]));
        const going = goingInto(document, drawn, carried);
        dragged.current = { of: document.nodes, carried, lines, going: new Map([...going].map(([id, group]) => [id, { group, at: drawn.get(id) ?? { x: 0, y: 0 } }])) };
        const entered = new Set(going.values());
        const left = new Set([...going.keys()].map((id) => nodeOf(id)?.parentId));
        const groups = [...new Set([...entered, ...left])].flatMap((id) => {
          const node = nodeOf(id);
          return node === undefined ? [] : [{ id: node.id, box: boxOf(node), isEntered: entered.has(node.id) }];
        });
        show({ guides, groups });
        onNodesChange(changes.map((one) => ({ ...one, position: { x: one.position.x + x, y: one.position.y + y } })));
        return;
      }
      const { current } = dragged;
      if (current === null || !changes.some(isDrop)) {
        onNodesChange(changes);
        return;
      }
      const names = new Set<string>();
      onNodesChange(
        changes.map((one): NodeChange => {
          if (!isDrop(one)) {
            return one;
          }
          const node = nodeOf(one.id);
          const goes = current.going.get(one.id);
          if (node?.dragging !== true || goes === undefined || (goes.group !== undefined && nodeOf(goes.group) === undefined)) {
            // At the snapped place, not at the pointer.
            return { type: "position", id: one.id, dragging: false };
          }
          const origin = originOf(goes.group);
          const item: Node = { ...node, position: { x: goes.at.x - origin.x, y: goes.at.y - origin.y } };
          delete item.parentId;
          names.add(goes.group === undefined ? "out of the group" : `into ${labelOf(nodeOf(goes.group) as Node)}`);
          return { type: "replace", id: one.id, item: goes.group === undefined ? item : { ...item, parentId: goes.group } };
        }),
      );
      if (names.size > 0) {
        announce(`Moved ${counted(current.going.size, 0)} ${[...names].join(" and ")}`);
      }
    },
    [document, nodes, onNodesChange, store],
  );
  const endDrag = useCallback(() => {
    dragged.current = null;
    setSigns(NOTHING);
  }, []);
  return { change, signs, endDrag };
}
