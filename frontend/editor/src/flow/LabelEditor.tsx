import { useReactFlow, useViewport } from "@xyflow/react";
import type { SyncedFlow } from "helix-flows";
import { useRef, useState } from "react";

import { NODE_SIZE } from "../drawing";
import { textOf } from "../kinds";
import { announce } from "./announce";
import { useGone } from "./useGone";

interface Props {
  sync: SyncedFlow;
  id: string;
  /** What it is called; anything may stand there. */
  label: unknown;
  /** It is called something else, from now on. */
  onLabel: (label: unknown) => void;
  onClose: () => void;
}

/** Find the element of a node or an edge on the canvas. */
export function elementOf(id: string): HTMLElement | SVGElement | null {
  return document.querySelector(`.react-flow__node[data-id="${CSS.escape(id)}"], .react-flow__edge[data-id="${CSS.escape(id)}"]`);
}

/** Tell where the middle of an edge is, in the flow's own units. */
function middleOfEdge(id: string): { x: number; y: number } | null {
  const path = elementOf(id)?.querySelector<SVGPathElement>(".react-flow__edge-path");
  return path?.getPointAtLength(path.getTotalLength() / 2) ?? null;
}

/**
 * Edits a label where it stands: each key counts, as in the properties. Escape takes back what one has typed, unless
 * somebody else has changed it since.
 */
export function LabelEditor({ sync, id, label, onLabel, onClose }: Props) {
  const [text, setText] = useState(textOf(label));
  /** What one has typed, and what was there before; `null` until one types. */
  const own = useRef<{ typed: string; before: unknown } | null>(null);
  const [first] = useState(text);
  useGone(sync, id, first);
  const { x, y, zoom } = useViewport();
  const { getInternalNode } = useReactFlow();
  const isOver = useRef(false);
  const node = getInternalNode(id);
  const size = { width: NODE_SIZE.width, height: NODE_SIZE.height, ...node?.measured };
  const place =
    node === undefined
      ? middleOfEdge(id)
      : { x: node.internals.positionAbsolute.x + size.width / 2, y: node.internals.positionAbsolute.y + size.height / 2 };
  if (place === null) {
    return null;
  }
  const end = (isKept: boolean): void => {
    if (isOver.current) {
      return;
    }
    isOver.current = true;
    if (own.current !== null && isKept) {
      announce(`Called ${own.current.typed || "nothing"}`);
    } else if (own.current?.typed === textOf(label)) {
      onLabel(own.current.before ?? null);
    }
    sync.flush();
    onClose();
    elementOf(id)?.focus({ preventScroll: true });
  };
  return (
    <input
      className="label-editor"
      aria-label="New label"
      autoFocus
      value={text}
      style={{ left: place.x * zoom + x, top: place.y * zoom + y }}
      onFocus={({ target }) => { target.select(); }}
      onChange={({ target }) => {
        own.current = { typed: target.value, before: own.current?.typed === textOf(label) ? own.current.before : label };
        setText(target.value);
        onLabel(target.value);
      }}
      onBlur={() => { end(true); }}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Enter" || event.key === "Escape") {
          event.preventDefault();
          end(event.key === "Enter");
        }
      }}
    />
  );
}
