/** Reports texts in which the user and somebody else changed the same words. */

import { type FlowDocument, own, type SyncedFlow } from "helix-flows";
import { useEffect, useRef } from "react";

import { fieldLabel, labelOf, shortOf } from "../../kinds";
import { tell } from "../../ui/Toasts";

/** Milliseconds after which the same text is reported again. */
const AGAIN = 30_000;

/** Describe the text at a JSON Pointer. */
function nameOf(pointer: string, flow: FlowDocument | null): string {
  const [kind = "", id = "", ...path] = pointer.split("/").slice(1).map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
  const field = fieldLabel(path.at(-1) ?? (id || kind));
  if (kind === "nodes") {
    return `“${field}” of “${labelOf(own(flow?.nodes, id) ?? {})}”`;
  }
  const label = shortOf(own(flow?.edges, id)?.["label"]);
  return kind === "edges" ? `“${field}” of the edge${label === "" ? "" : ` “${label}”`}` : `“${field}”`;
}

/** Tell the user that both versions are kept. */
export function useConflicts(sync: SyncedFlow): void {
  const told = useRef(new Map<string, number>());
  useEffect(
    () =>
      sync.listen((event) => {
        const now = performance.now();
        for (const pointer of event.type === "conflict" ? event.paths : []) {
          if (now - (told.current.get(pointer) ?? -AGAIN) >= AGAIN) {
            told.current.set(pointer, now);
            tell(`You and somebody else changed the same words in ${nameOf(pointer, sync.state.document)}. Both versions are kept.`);
          }
        }
      }),
    [sync],
  );
}
