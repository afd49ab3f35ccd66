import { type FlowEntry, own, type SyncedFlow } from "helix-flows";
import { useEffect, useLayoutEffect, useRef } from "react";

import { tell } from "../../ui/Toasts";
import { isTyping } from "../commands/keys";

/** Tell whether an entry deletes a node or an edge. */
function deletes({ patch }: FlowEntry, id: string): boolean {
  const { nodes, edges } = patch as { nodes?: Record<string, unknown>; edges?: Record<string, unknown> };
  return own(nodes, id) === null || own(edges, id) === null;
}

/**
 * Tell a user who is typing that their node or edge was deleted, which only others can do then. If typed changes are
 * lost with it, `useDropped` tells this instead.
 */
export function useGone(sync: SyncedFlow, id: string, title: string): void {
  const latest = useRef({ id, title });
  const maker = useRef("");
  useLayoutEffect(() => {
    latest.current = { id, title };
  }, [id, title]);
  useEffect(
    () =>
      sync.listen((event) => {
        const entry = event.type === "entries" ? event.entries.findLast((one) => deletes(one, latest.current.id)) : undefined;
        maker.current = entry?.by ?? maker.current;
      }),
    [sync],
  );
  useLayoutEffect(() => () => {
    const { id: gone, title: name } = latest.current;
    const { document: flow } = sync.state;
    const isThere = flow === null || Object.hasOwn(flow.nodes, gone) || Object.hasOwn(flow.edges, gone);
    if (isThere || !isTyping(document.activeElement)) {
      return;
    }
    const words = `${maker.current || "Somebody"} deleted ${name === "" ? "what you were editing" : `“${name}” while you were editing it`}.`;
    tellUnlessDropped(sync, gone, words);
  }, [sync]);
}

/** Tell it once unsent changes are answered, unless the answer says more. */
function tellUnlessDropped(sync: SyncedFlow, id: string, words: string): void {
  const isSettled = (): boolean => {
    const { status, dropped } = sync.state;
    const isDropped = dropped.some(({ deletions }) => deletions.some((one) => one.id === id));
    if (isDropped || status.unsent === 0) {
      if (!isDropped) {
        tell(words);
      }
      return true;
    }
    return status.kind === "closed";
  };
  if (!isSettled()) {
    const end = sync.subscribe(() => {
      if (isSettled()) {
        end();
      }
    });
  }
}
