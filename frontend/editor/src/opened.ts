/** The flow that is open, for what must work when nothing else does. */

import type { FlowDocument, SyncedFlow } from "helix-flows";

import { download } from "./files";

export const open = {
  flow: null as SyncedFlow | null,

  /** Save what is shown of it, unsent changes included. */
  save(): void {
    saveDocument(this.flow?.state.document ?? null);
  },
};

/** Have a flow be the one that is open. Returns what ends that. */
export function openFlow(flow: SyncedFlow): () => void {
  open.flow = flow;
  return () => {
    open.flow = null;
  };
}

/** Tell whether changes would be lost with the page: nobody else has them, and nothing can be kept here. */
export function isAtRisk(flow: SyncedFlow): boolean {
  const { unsent, kept } = flow.state.status;
  return unsent > 0 && !kept;
}

/** Save a document as a file that can be imported. */
export function saveDocument(document: FlowDocument | null): void {
  if (document !== null) {
    const file = { format: "helix-flow", format_version: 1, title: document.title, document };
    download(`${safeName(document.title)}.json`, new Blob([JSON.stringify(file)], { type: "application/json" }));
  }
}

/** Give a title as the name of a file. */
export function safeName(title: string): string {
  return title.replaceAll(/[^\p{L}\p{N} ._-]+/gu, "").trim() || "flow";
}
