/** What can be done to a flow, whoever asks for it: a key, a menu, a mouse. */

import { useReactFlow } from "@xyflow/react";
import type { JsonObject, Point } from "helix-flows";
import type { UseFlowResult } from "helix-flows/react";
import { useRef } from "react";

import { reasonOf } from "../api";
import { KINDS, kindOf, labelOf } from "../kinds";
import { open } from "../opened";
import { tell } from "../ui/Toasts";
import type { Choice } from "./Choices";
import { FIT_SMOOTHLY } from "./fit";
import { type Addition, copyOf, middleOf, newEdge, newNode, type Part, partOf, readPart, writePart } from "./parts";

const STEP = 32;
const ANIMATION = 180;

export interface Actions {
  /** The ids of what is selected, nodes before edges. */
  selected: readonly string[];
  /** Add a node; without a place, in the middle of what is in sight. */
  add: (type: string, at?: Point) => void;
  select: (ids: readonly string[]) => void;
  selectAll: () => void;
  remove: () => void;
  duplicate: () => void;
  /** Write what is selected as text for the clipboard. */
  copy: () => string;
  /** As `copy`, and take it away. */
  cut: () => string;
  paste: (text: string) => void;
  /** Put text into the clipboard, without an event of the browser's for it. */
  keep: (text: string) => void;
  /** Paste what is in the clipboard where one may read it, else what was kept last. */
  pasteKept: () => void;
  connect: () => void;
  toggleLock: () => void;
  layOut: () => void;
  finds: () => Choice[];
  savePicture: (kind: "png" | "svg") => void;
  copyPicture: () => void;
  saveFile: () => void;
  share: () => void;
}

/** Do things to a flow. */
export function useActions(flow: UseFlowResult, isReadOnly: boolean): Actions {
  const { sync, document, nodes, edges, onNodesChange, onEdgesChange } = flow;
  const { screenToFlowPosition, setCenter, fitView } = useReactFlow();
  const kept = useRef("");
  const nodeIds = nodes.filter((node) => node.selected).map(({ id }) => id);
  const edgeIds = edges.filter((edge) => edge.selected).map(({ id }) => id);

  const select = (ids: readonly string[]): void => {
    const wanted = new Set(ids);
    const all = new Set([...nodes.map(({ id }) => id), ...ids]);
    onNodesChange([...all].map((id) => ({ type: "select", id, selected: wanted.has(id) })));
    onEdgesChange(edgeIds.map((id) => ({ type: "select", id, selected: false })));
  };
  const apply = ({ patch, ids }: Addition): void => {
    if (!isReadOnly && ids.length > 0) {
      sync.patch(patch);
      select(ids);
    }
  };
  const inSight = (): Point => {
    const { left, top, width, height } = window.document.querySelector(".stage")?.getBoundingClientRect() ?? new DOMRect();
    return screenToFlowPosition({ x: left + width / 2, y: top + height / 2 });
  };
  const part = (): Part => (document === null ? { nodes: [], edges: [] } : partOf(document, new Set(nodeIds)));
  const remove = (): void => {
    const gone = (ids: readonly string[]): JsonObject => Object.fromEntries(ids.map((id) => [id, null]));
    if (!isReadOnly && nodeIds.length + edgeIds.length > 0) {
      sync.patch({ nodes: gone(nodeIds), edges: gone(edgeIds) });
    }
  };
  const copy = (): string => writePart(part());
  const paste = (text: string): void => {
    const found = readPart(text);
    if (found !== null && found.nodes.length > 0) {
      const [middle, target] = [middleOf(found), inSight()];
      apply(copyOf(found, { x: Math.round(target.x - middle.x), y: Math.round(target.y - middle.y) }));
    }
  };
  const carryOut = async (what: string, work: () => Promise<void> | void): Promise<void> => {
    try {
      await work();
    } catch (error) {
      tell(`Couldn't ${what}: ${reasonOf(error)}`);
    }
  };

  return {
    selected: [...nodeIds, ...edgeIds],
    select,
    selectAll: () => { select(nodes.map(({ id }) => id)); },
    add: (type, at) => {
      const { x, y } = at ?? inSight();
      const isTaken = (point: Point): boolean => nodes.some(({ position }) => Math.hypot(position.x - point.x, position.y - point.y) < 8);
      const place = { x: at === undefined ? x - 108 : x, y: at === undefined ? y - 31 : y };
      while (isTaken({ x: Math.round(place.x), y: Math.round(place.y) })) {
        place.x += STEP;
        place.y += STEP;
      }
      apply(newNode(type, place));
    },
    remove,
    duplicate: () => { apply(copyOf(part(), { x: STEP, y: STEP })); },
    copy,
    cut: () => {
      const text = copy();
      remove();
      return text;
    },
    paste,
    // Pages without TLS have no clipboard but in its events; what was kept is pasted here all the same.
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
      const chosen = nodes.filter((node) => node.selected).toSorted((a, b) => a.position.x - b.position.x);
      const pairs = chosen.slice(1).map((node, n) => newEdge(chosen[n]?.id ?? "", node.id)["edges"] as JsonObject);
      if (!isReadOnly && pairs.length > 0) {
        sync.patch({ edges: Object.assign({}, ...pairs) as JsonObject });
      }
    },
    toggleLock: () => {
      const isLocked = nodes.some((node) => node.selected && node.draggable === false);
      if (!isReadOnly) {
        sync.patch({ nodes: Object.fromEntries(nodeIds.map((id) => [id, { draggable: isLocked ? null : false }])) });
      }
    },
    layOut: () =>
      void carryOut("arrange the flow", async () => {
        const { layoutPatch } = await import("./layout");
        if (document !== null && !isReadOnly) {
          sync.patch(layoutPatch(document));
          requestAnimationFrame(() => void fitView(FIT_SMOOTHLY));
        }
      }),
    finds: () =>
      nodes.map((node) => ({
        id: node.id,
        label: labelOf({ type: node.type, data: node.data }),
        hint: kindOf(node.type).name,
        icon: kindOf(node.type).icon,
        words: JSON.stringify(node.data),
        run: () => {
          select([node.id]);
          const { width = 216, height = 62 } = node.measured ?? {};
          void setCenter(node.position.x + width / 2, node.position.y + height / 2, { zoom: 1, duration: ANIMATION });
        },
      })),
    savePicture: (kind) =>
      void carryOut("make a picture", async () => {
        const { savePicture } = await import("./export");
        if (document !== null) {
          await savePicture(document, kind);
        }
      }),
    copyPicture: () =>
      void carryOut("copy a picture", async () => {
        const { copyPicture } = await import("./export");
        if (document !== null) {
          await copyPicture(document);
        }
      }),
    saveFile: () => { open.save(); },
    share: () =>
      void carryOut("copy the link", async () => {
        const clipboard = navigator.clipboard as Clipboard | undefined;
        if (clipboard === undefined) {
          tell(`The link: ${location.origin}${location.pathname}`);
          return;
        }
        await clipboard.writeText(location.origin + location.pathname);
        tell("Copied the link. Who has it can edit along.");
      }),
  };
}

/** The kinds of nodes, as there are keys for them. */
export const KIND_KEYS = KINDS.map((kind, n) => ({ kind, keys: `Alt+${(n + 1) % 10}` }));
