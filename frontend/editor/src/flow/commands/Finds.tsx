import type { Node } from "@xyflow/react";
import { useLayoutEffect, useMemo, useRef } from "react";

import { kindOfNode, labelOf, wordsOf } from "../../kinds";
import { type Choice, Choices } from "./Choices";

interface Props {
  nodes: readonly Node[];
  /** Select a node, and go there. */
  onReveal: (id: string) => void;
  onClose: () => void;
}

/** Finds nodes by what is in them. While it is open, only a change of nodes is looked through, not each move of a pointer. */
export function Finds({ nodes, onReveal, onClose }: Props) {
  const reveal = useRef(onReveal);
  useLayoutEffect(() => {
    reveal.current = onReveal;
  }, [onReveal]);
  const choices = useMemo(
    () =>
      nodes.map((node): Choice => {
        const { name, icon } = kindOfNode(node);
        return { id: node.id, label: labelOf(node), hint: name, icon, words: wordsOf(node), run: () => { reveal.current(node.id); } };
      }),
    [nodes],
  );
  return <Choices title="Find in the flow" placeholder="A node's label, kind or content" choices={choices} onClose={onClose} />;
}
