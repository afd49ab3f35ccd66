/** What this client may do in its flow, as far as is known, and why its changes are held back. */

import { stage } from "../model/document.js";
import { FORBIDDEN, GONE } from "../model/errors.js";
import { own } from "../model/mergepatch.js";
import { type DocumentPath, firstOutside, readPaths } from "../model/paths.js";
import type { FlowDocument, FlowError, JsonObject, Right } from "../types.js";

const EDITOR: readonly Right[] = ["read", "comment", "propose", "edit"];

/** What each role may do, for servers that don't list it. */
const RIGHTS: Readonly<Record<string, readonly Right[]>> = {
  viewer: ["read"],
  commenter: ["read", "comment"],
  proposer: ["read", "comment", "propose"],
  editor: EDITOR,
  owner: [...EDITOR, "manage"],
};

const NO_EDITS: FlowError = { reason: "You may look at this flow, but not change it", code: FORBIDDEN };

export class Access {
  /** `null` before the first join. */
  role: string | null = null;
  /** What one may do; `null` before the first join. Until then changes are taken, and wait. */
  may: readonly Right[] | null = null;
  /** What of the document one may change; `null` for all of it. */
  paths: readonly string[] | null = null;
  #read: readonly DocumentPath[] = [];
  /** Why changes are held back, though they should be allowed. */
  #refused: FlowError | null = null;
  /** Why the flow is closed to this client. */
  #lost: FlowError | null = null;

  /** Take the answer to a join, or what has changed since. */
  take({ role, may, paths }: JsonObject): void {
    this.role = typeof role === "string" ? role : null;
    this.may = Array.isArray(may) ? (texts(may) as Right[]) : (own(RIGHTS, this.role ?? "") ?? EDITOR);
    this.paths = Array.isArray(paths) ? texts(paths) : null;
    this.#read = readPaths(this.paths ?? []);
    this.#refused = this.#lost = null;
  }

  /** The server has refused a change, though this client should be allowed to make it. */
  refuse(error: FlowError): void {
    this.#refused = error;
  }

  /** The server has taken a change. */
  accept(): void {
    this.#refused = null;
  }

  /** The channel was closed for good. */
  close(error: FlowError | null): void {
    if (GONE.has(error?.code ?? "")) {
      this.role = this.paths = null;
      this.may = [];
      this.#lost = error;
    }
  }

  /** Whether changes may be sent. */
  get isEditor(): boolean {
    return this.may?.includes("edit") ?? true;
  }

  /** Why changes are held back; `null` if they aren't. */
  get why(): FlowError | null {
    return this.isEditor ? this.#refused : (this.#lost ?? NO_EDITS);
  }

  /** Tell why a new change can't be made; `null` if it can, as far as is known. */
  judge(document: FlowDocument | null, patch: JsonObject): FlowError | null {
    if (!this.isEditor) {
      return this.why;
    }
    if (this.paths === null || document === null) {
      return null;
    }
    let effective: JsonObject;
    try {
      effective = stage(document, patch);
    } catch {
      // The server will report what is wrong with it.
      return null;
    }
    const outside = firstOutside(this.#read, effective, document);
    return outside === null
      ? null
      : { reason: `${outside}: you may not change this part of the flow`, code: "forbidden_path" };
  }
}

function texts(given: readonly unknown[]): string[] {
  return given.filter((one) => typeof one === "string");
}
