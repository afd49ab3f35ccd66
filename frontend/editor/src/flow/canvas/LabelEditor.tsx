import { useReactFlow, useViewport } from "@xyflow/react";
import type { SyncedFlow } from "helix-flows";
import { useText } from "helix-flows/react";
import { useRef, useState } from "react";

import { NODE_SIZE } from "../../drawing";
import { textOf } from "../../kinds";
import { isInputMethods } from "../commands/keys";
import { useGone } from "../panels/useGone";
import { announce } from "../status/announce";

interface Props {
  sync: SyncedFlow;
  id: string;
  /** The current label, which may be of any type. */
  label: unknown;
  /** The label has changed. */
  onLabel: (label: string) => void;
  onClose: () => void;
}

/** Find the element of a node or an edge on the canvas. */
export function elementOf(id: string): HTMLElement | SVGElement | null {
  return document.querySelector(`.react-flow__node[data-id="${CSS.escape(id)}"], .react-flow__edge[data-id="${CSS.escape(id)}"]`);
}

/** Give the middle of an edge, in the flow's units. */
function middleOfEdge(id: string): { x: number; y: number } | null {
  const path = elementOf(id)?.querySelector<SVGPathElement>(".react-flow__edge-path");
  return path?.getPointAtLength(path.getTotalLength() / 2) ?? null;
}

/**
 * Edits a label on the canvas: each key counts, as in the properties, and others' edits appear in it. Escape undoes
 * what one has typed, and nothing of theirs.
 */
export function LabelEditor({ sync, id, label, onLabel, onClose }: Props) {
  const [first] = useState(() => textOf(label));
  const typed = useRef(false);
  const { field, takeBack } = useText<HTMLInputElement>(textOf(label), (text) => {
    typed.current = true;
    onLabel(text);
  });
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
    if (!isKept) {
      takeBack();
    } else if (typed.current) {
      announce(`Label: ${field.ref.current?.value || "none"}`);
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
      {...field}
      style={{ left: place.x * zoom + x, top: place.y * zoom + y }}
      onFocus={({ target }) => {
        field.onFocus();
        target.select();
      }}
      onBlur={() => { end(true); }}
      onKeyDown={(event) => {
        event.stopPropagation();
        if ((event.key === "Enter" || event.key === "Escape") && !isInputMethods(event)) {
          event.preventDefault();
          end(event.key === "Enter");
        }
      }}
    />
  );
}
