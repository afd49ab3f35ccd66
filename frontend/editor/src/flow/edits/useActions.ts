/** Actions on a flow, for keys, menus and the mouse. */

import { useReactFlow } from "@xyflow/react";
import { connecting, type FlowDocument, type JsonObject, own, type Point } from "helix-flows";
import type { UseFlowResult } from "helix-flows/react";
import { useRef } from "react";

import { reasonOf } from "../../api";
import { NODE_SIZE } from "../../drawing";
import { KINDS, kindOf } from "../../kinds";
import { type Place, placesIn, withInside } from "../../nesting";
import { tell } from "../../ui/Toasts";
import { carryOut } from "../sharing/outputs";
import { announce, counted } from "../status/announce";
import { type Grouping, groupingOf } from "./groupActions";
import { groupAt } from "./landing";
import { sent } from "./levels";
import { nudged } from "./nudging";
import { type Addition, copyOf, cornersOf, frameOfPart, middleOf, newNode, type Part, partOf, readPart, writePart } from "./parts";
import { type Axis, evenly, GRID, inLine, type Side } from "./placing";
import { clearOf } from "./room";
import { useRoom } from "./useRoom";

/** The distance between a copy and its original. */
const STEP: Point = { x: 32, y: 32 };

/** The most nodes and edges that are pasted at once: as many as a flow may have by default. */
const MOST_PASTED = 20_000;

export interface Actions extends Grouping {
  /** The selected ids, nodes before edges. */
  selected: readonly string[];
  /** How many of these are nodes. */
  selectedNodes: number;
  /** Whether some of these may be moved. */
  isMovable: boolean;
  /** Add a node. Without a place it goes into free space: beside the selection, or in the middle of the view. */
  add: (type: string, at?: Point) => void;
  /** Add a node where it was dropped in the window. */
  drop: (type: string, at: Point) => void;
  /** Add a copy of a whole document in free space, as one step of undo. */
  insert: (name: string, other: FlowDocument) => void;
  select: (ids: readonly string[]) => void;
  selectAll: () => void;
  remove: () => void;
  duplicate: () => void;
  /** Write the selection as text for the clipboard. */
  copy: () => string;
  /** Like `copy`, and delete the selection. */
  cut: () => string;
  paste: (text: string) => void;
  /** Put text into the clipboard without a browser event. */
  keep: (text: string) => void;
  /** Paste from the clipboard if it can be read; otherwise what was copied last. */
  pasteKept: () => void;
  connect: () => void;
  toggleLock: () => void;
  /** Move the selection, except locked nodes. */
  nudge: (by: Point) => void;
  /** Align the selection. */
  align: (side: Side) => void;
  /** Make the gaps between selected nodes equal. */
  distribute: (axis: Axis) => void;
  /** Change the label of a node or an edge while the user types. */
  relabel: (id: string, label: unknown) => void;
  /** Arrange the flow, or the selected nodes if they are more than one. */
  layOut: (then: () => void) => void;
  /** Bring the selection above or below everything else. */
  send: (to: "front" | "back") => void;
}

/**
 * Give the actions on a flow.
 *
 * @param mayMove tells which nodes may be moved, where not all may.
 */
export function useActions(flow: UseFlowResult, isReadOnly: boolean, mayMove: (id: string) => boolean): Actions {
  const { sync, document, nodes, edges, onNodesChange, onEdgesChange } = flow;
  const { screenToFlowPosition } = useReactFlow();
  const room = useRoom(document);
  const kept = useRef("");
  const chosen = nodes.filter((node) => node.selected);
  const nodeIds = chosen.map(({ id }) => id);
  const edgeIds = edges.filter((edge) => edge.selected).map(({ id }) => id);
  const what = counted(nodeIds.length, edgeIds.length);
  const places = document === null ? new Map<string, Place>() : placesIn(document);

  const select = (ids: readonly string[]): void => {
    const wanted = new Set(ids);
    const left = ({ id, selected }: { id: string; selected?: boolean }): boolean => selected === true && !wanted.has(id);
    const change = (id: string) => ({ type: "select" as const, id, selected: wanted.has(id) });
    const ofEdges = new Set(edges.map(({ id }) => id));
    // New nodes aren't among the nodes yet.
    onNodesChange([...nodes.filter(left).map(({ id }) => id), ...[...wanted].filter((id) => !ofEdges.has(id))].map(change));
    onEdgesChange(edges.filter((edge) => left(edge) || wanted.has(edge.id)).map(({ id }) => change(id)));
  };
  /** Change the document, and announce it. What no document can hold, such as a place too far away, counts as refused. Tells whether it was done. */
  const attempt = (change: () => void, said: string): boolean => {
    if (isReadOnly) {
      return false;
    }
    try {
      change();
    } catch (error) {
      sync.refuse({ reason: reasonOf(error), code: "invalid_patch" }, {});
      return false;
    }
    announce(said);
    return true;
  };
  const edit = (patch: JsonObject, said: string): boolean => attempt(() => { sync.patch(patch); }, said);
  const apply = ({ patch, ids }: Addition, said: string): void => {
    if (ids.length > 0 && edit(patch, said)) {
      select(ids);
    }
  };
  const inSight = (): Point => {
    const { left, top, width, height } = window.document.querySelector(".stage")?.getBoundingClientRect() ?? new DOMRect();
    return screenToFlowPosition({ x: left + width / 2, y: top + height / 2 });
  };
  const part = (isWhole: boolean): Part => (document === null ? { nodes: [], edges: [] } : partOf(document, nodeIds, isWhole));
  const remove = (gone: ReadonlySet<string>): void => {
    const nulls = (ids: Iterable<string>): JsonObject => Object.fromEntries([...ids].map((id) => [id, null]));
    if (nodeIds.length + edgeIds.length > 0) {
      edit({ nodes: nulls(gone), edges: nulls(edgeIds) }, `Deleted ${counted(gone.size, edgeIds.length)}`);
    }
  };
  const copy = (): string => {
    announce(`Copied ${counted(nodeIds.length, 0)}`);
    return writePart(part(true));
  };
  const paste = (text: string): void => {
    const found = readPart(text);
    const [first] = found?.nodes ?? [];
    if (found !== null && found.nodes.length + found.edges.length > MOST_PASTED) {
      tell(`At most ${MOST_PASTED} nodes and edges can be pasted at once.`);
    } else if (found !== null && first !== undefined) {
      const [middle, target] = [middleOf(found), inSight()];
      const { x, y } = first.position;
      const by = { x: Math.round(x + target.x - middle.x) - x, y: Math.round(y + target.y - middle.y) - y };
      const copied = copyOf(document, found, clearOf(cornersOf(document, found), places.values(), by, STEP));
      apply(copied, `Pasted ${counted(found.nodes.length, found.edges.length)}`);
    }
  };

  const add = (type: string, at?: Point): void => {
    const group = at === undefined || document === null ? undefined : groupAt(document, { ...at, ...NODE_SIZE });
    const place = at === undefined ? room.beside(NODE_SIZE, nodeIds) : { ...clearOf([{ x: 0, y: 0 }], places.values(), at, STEP), parent: group };
    apply(newNode(document, type, place), `Added ${kindOf(type).name}`);
    if (at === undefined) {
      room.show({ ...place, ...NODE_SIZE });
    }
  };

  return {
    ...groupingOf(document, nodeIds, { apply, edit, remove, select }),
    selected: [...nodeIds, ...edgeIds],
    selectedNodes: nodeIds.length,
    isMovable: nodeIds.some(mayMove),
    select,
    selectAll: () => {
      select([...nodes, ...edges].map(({ id }) => id));
      announce(`Selected ${counted(nodes.length, edges.length)}`);
    },
    add,
    drop: (type, at) => {
      if (!KINDS.some((kind) => kind.type === type)) {
        // It comes from another page.
        return;
      }
      const { x, y } = screenToFlowPosition(at, { snapToGrid: false });
      const onGrid = (to: number): number => Math.round(to / GRID) * GRID;
      add(type, { x: onGrid(x - NODE_SIZE.width / 2), y: onGrid(y - NODE_SIZE.height / 2) });
    },
    insert: (name, other) => {
      const whole = partOf(other, Object.keys(other.nodes), true);
      if (whole.nodes.length > 0 && !isReadOnly) {
        const frame = frameOfPart(whole);
        const to = room.inSight(frame);
        const copied = copyOf(document, whole, { x: Math.round(to.x - frame.x), y: Math.round(to.y - frame.y) });
        apply(copied, `Inserted “${name}”: ${counted(whole.nodes.length, whole.edges.length)}`);
        room.show({ ...frame, ...to });
      }
    },
    remove: () => { remove(new Set(nodeIds)); },
    duplicate: () => {
      const copied = part(false);
      const made = copyOf(document, copied, clearOf(cornersOf(document, copied), places.values(), STEP, STEP));
      apply(made, `Duplicated ${counted(nodeIds.length, 0)}`);
    },
    copy,
    cut: () => {
      const text = copy();
      // Pasting also brings back the contents of groups.
      remove(withInside(nodeIds, places));
      return text;
    },
    paste,
    // Without TLS a page has the clipboard only in its events. Pasting here then uses the kept text.
    keep: (text) => {
      kept.current = text;
      void (navigator.clipboard as Clipboard | undefined)?.writeText(text).catch(() => undefined);
    },
    pasteKept: () => {
      const clipboard = navigator.clipboard as Clipboard | undefined;
      void (clipboard?.readText() ?? Promise.reject(new Error("no clipboard"))).then(
        (text) => { paste(readPart(text) === null ? kept.current : text); },
        () => { paste(kept.current); },
      );
    },
    connect: () => {
      const fromLeft = nodeIds.toSorted((a, b) => (places.get(a)?.x ?? 0) - (places.get(b)?.x ?? 0));
      const pairs = fromLeft.slice(1).map((target, n) => ({ source: fromLeft[n] ?? "", target }));
      if (document !== null && pairs.length > 0) {
        edit(connecting(document.edges, pairs), `Connected ${what}`);
      }
    },
    toggleLock: () => {
      const isLocked = chosen.some((node) => node.draggable === false);
      const patch = { nodes: Object.fromEntries(nodeIds.map((id) => [id, { draggable: isLocked ? null : false }])) };
      edit(patch, `${isLocked ? "Unlocked" : "Locked"} ${counted(nodeIds.length, 0)}`);
    },
    nudge: ({ x, y }) => {
      const { patch, ids } = document === null ? { patch: {}, ids: [] } : nudged(document, nodeIds.filter(mayMove), { x, y });
      if (ids.length > 0) {
        attempt(() => { sync.gather("move", patch); }, `Moved ${counted(ids.length, 0)}`);
      }
    },
    align: (side) => {
      if (document !== null && nodeIds.length > 1) {
        edit(inLine(document, nodeIds, side), `Aligned ${what}: ${side}`);
      }
    },
    distribute: (axis) => {
      if (document !== null && nodeIds.length > 2) {
        edit(evenly(document, nodeIds, axis), `Distributed ${what}`);
      }
    },
    relabel: (id, label) => {
      const isNode = own(document?.nodes, id) !== undefined;
      if (!isReadOnly) {
        sync.gather(`label:${id}`, isNode ? { nodes: { [id]: { data: { label } } } } : { edges: { [id]: { label: label === "" ? null : label } } }, { isText: true });
      }
    },
    send: (to) => {
      if (document !== null) {
        edit(sent(document, [...nodeIds, ...edgeIds], to), `${to === "front" ? "Brought" : "Sent"} ${what} to the ${to}`);
      }
    },
    layOut: (then) =>
      void carryOut("arrange the flow", async () => {
        const { arrangedBack, layoutPatch } = await import("./layout");
        if (document !== null && !isReadOnly) {
          const isPart = nodeIds.length > 1;
          const patch = layoutPatch(document, isPart ? nodeIds : undefined);
          edit(patch, isPart ? `Arranged ${counted(nodeIds.length, 0)}` : "Arranged the flow");
          tell(isPart ? `Arranged ${counted(nodeIds.length, 0)}.` : "Arranged the flow.", {
            label: "Undo",
            run: () => { edit(arrangedBack(document, patch, sync.state.document), "Put back"); },
          });
          requestAnimationFrame(then);
        }
      }),
  };
}

/** The kinds of nodes, with their keys. */
export const KIND_KEYS = KINDS.map((kind, n) => ({ kind, keys: `Alt+${(n + 1) % 10}` }));
