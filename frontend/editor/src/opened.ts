/** The flow that is open, for what must work when nothing else does. */

import type { SyncedFlow } from "helix-flows";

import { download } from "./files";

export const open = {
  flow: null as SyncedFlow | null,

  /** Save what is shown of it, unsent changes included, as a file that can be imported. */
  save(): void {
    const document = this.flow?.state.document;
    if (document) {
      const file = { format: "helix-flow", format_version: 1, title: document.title, document };
      download(`${safeName(document.title)}.json`, new Blob([JSON.stringify(file)], { type: "application/json" }));
    }
  },
};

/** Give a title as the name of a file. */
export function safeName(title: string): string {
  return title.replaceAll(/[^\p{L}\p{N} ._-]+/gu, "").trim() || "flow";
}
