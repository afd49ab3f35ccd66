import type { SyncedFlow } from "helix-flows";
import { useLayoutEffect, useRef } from "react";

import { tell } from "../ui/Toasts";
import { isTyping } from "./keys";

/** Tell whoever types about a node or an edge that it is gone, and this with it: others alone can delete it then. */
export function useGone(sync: SyncedFlow, id: string, title: string): void {
  const latest = useRef({ id, title });
  useLayoutEffect(() => {
    latest.current = { id, title };
  }, [id, title]);
  useLayoutEffect(() => () => {
    const { id: gone, title: name } = latest.current;
    const { document: flow } = sync.state;
    const isThere = flow === null || flow.nodes[gone] !== undefined || flow.edges[gone] !== undefined;
    if (!isThere && isTyping(document.activeElement)) {
      tell(`Somebody deleted ${name === "" ? "what you edited" : `“${name}” while you edited it`}.`);
    }
  }, [sync]);
}
