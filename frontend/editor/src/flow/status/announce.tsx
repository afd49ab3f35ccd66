import { useSyncExternalStore } from "react";

import { numbered } from "../../words";

let said = "";
let isOdd = false;
const listeners = new Set<() => void>();

/** Say what happened, for those who can't see it. */
export function announce(text: string): void {
  // The same words twice are another text, which is read again.
  isOdd = !isOdd;
  said = isOdd ? text : `${text}\u00A0`;
  for (const listener of listeners) {
    listener();
  }
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Where it is said. */
export function Announcer() {
  const text = useSyncExternalStore(subscribe, () => said);
  return <div className="hidden announcer" aria-live="polite">{text}</div>;
}

/** Count nodes and edges in words. */
export function counted(nodes: number, edges: number): string {
  const parts = ([[nodes, "node"], [edges, "edge"]] as const).filter(([count]) => count > 0).map(([count, noun]) => numbered(count, noun));
  return parts.join(" and ") || "nothing";
}
