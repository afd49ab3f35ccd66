/** The open flow, for functions that must work even after a crash. */

import type { FlowDocument, SyncedFlow } from "helix-flows";

import { download } from "./files";

export const open = {
  flow: null as SyncedFlow | null,

  /** Save what is shown of it, including unsent changes. */
  save(): void {
    saveDocument(this.flow?.state.document ?? null);
  },
};

/** Set the open flow. Returns a function that ends this. */
export function openFlow(flow: SyncedFlow): () => void {
  open.flow = flow;
  return () => {
    open.flow = null;
  };
}

/** Tell whether changes would be lost with the page: they are unsent, and can't be stored here. */
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

/** Make a file name of a title. */
export function safeName(title: string): string {
  return title.replaceAll(/[^\p{L}\p{N} ._-]+/gu, "").trim() || "flow";
}
