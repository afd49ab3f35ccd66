import { useSyncExternalStore } from "react";

import { numbered } from "../../words";

let said = "";
let isOdd = false;
const listeners = new Set<() => void>();

/** Announce something to screen readers. */
export function announce(text: string): void {
  // The same words twice become different texts, so that they are read again.
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

/** The live region for announcements. */
export function Announcer() {
  const text = useSyncExternalStore(subscribe, () => said);
  return <div className="hidden announcer" aria-live="polite">{text}</div>;
}

/** Write the numbers of nodes and edges. */
export function counted(nodes: number, edges: number): string {
  const parts = ([[nodes, "node"], [edges, "edge"]] as const).filter(([count]) => count > 0).map(([count, noun]) => numbered(count, noun));
  return parts.join(" and ") || "nothing";
}
