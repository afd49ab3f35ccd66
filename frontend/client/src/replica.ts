/** A client's copy of a flow: what the server confirmed, with what is on its way there on top. */

import { apply, stage } from "./document";
import { inverse, isEmpty, share } from "./mergepatch";
import type { FlowDocument, FlowEntry, JsonObject } from "./types";

/** A patch of a client on its way into the log. */
export interface Operation {
  readonly clientId: string;
  readonly opId: number;
  /** It may still grow while it isn't sent. */
  patch: JsonObject;
  /** The version at which the log holds it; `null` while that isn't known. */
  durableAt: number | null;
  /** What it changes, as far as is known: in what is shown, and in the end in the log. */
  effective: JsonObject;
  /** What takes `effective` away again. */
  inverse: JsonObject;
}

/** Entries are missing between what the replica has and what it was given. */
export class Gap extends Error {
  override readonly name = "Gap";
}

/** The document that a client shows. */
export class Replica {
  /** The identity of the log; `null` before the first `adopt`, and while what is shown is not trusted. */
  epoch: string | null = null;
  /** The version of what is confirmed. */
  version = 0;
  /** What is confirmed; `null` before the first `adopt`. */
  confirmed: FlowDocument | null = null;
  /** What to show. */
  shown: FlowDocument | null = null;
  /** What is on top of what is confirmed, in order. */
  operations: Operation[] = [];

  /** The operations that are not known to be durable, in order. */
  get unconfirmed(): Operation[] {
    return this.operations.filter((op) => op.durableAt === null);
  }

  /** Take a client's patch, which is shown at once, as far as the document can take it. */
  submit(clientId: string, opId: number, patch: JsonObject): Operation {
    const op: Operation = { clientId, opId, patch, durableAt: null, effective: {}, inverse: {} };
    this.operations.push(op);
    if (this.shown !== null) {
      this.shown = put(this.shown, op);
    }
    return op;
  }

  /** Let an operation be another patch. */
  replace(op: Operation, patch: JsonObject): void {
    op.patch = patch;
    this.#show();
  }

  find(clientId: string | null, opId: number | null): Operation | undefined {
    return this.operations.find((op) => op.opId === opId && op.clientId === clientId);
  }

  /**
   * Note that the log holds an operation at `version`. It stays on top until that version has come.
   *
   * @param effective what of it counts, where the server says so.
   */
  acknowledge(op: Operation, version: number, effective?: JsonObject): void {
    op.durableAt ??= version;
    if (effective !== undefined && isEmpty(effective)) {
      op.patch = {};
    }
    if (op.durableAt <= this.version || isEmpty(op.patch)) {
      this.#forget([op]);
    }
  }

  /** Take away an operation that will never be in the log. */
  refuse(op: Operation): void {
    this.#forget([op]);
  }

  /**
   * Begin anew from a whole document. What is durable is in it, or in a log that is no more; the rest
   * is shown on top.
   */
  adopt(epoch: string, version: number, document: FlowDocument): void {
    this.epoch = epoch;
    this.version = version;
    this.confirmed = document;
    this.operations = this.unconfirmed;
    this.#show();
  }

  /**
   * Take entries; those that are known already are skipped.
   *
   * @returns the entries that were new, and the operations that turned out to be durable.
   * @throws Gap when one before them is missing; nothing was taken.
   */
  receive(entries: readonly FlowEntry[]): { news: FlowEntry[]; settled: Operation[] } {
    const news = entries.filter((entry) => entry.version > this.version);
    if (this.confirmed === null || news.some(({ version }, n) => version !== this.version + n + 1)) {
      throw new Gap();
    }
    const settled: Operation[] = [];
    let confirmed = this.confirmed;
    for (const entry of news) {
      const op = this.find(entry.client_id, entry.op_id);
      if (op !== undefined) {
        op.durableAt ??= entry.version;
        settled.push(op);
        op.effective = entry.patch;
        op.inverse = inverse(confirmed, entry.patch);
      }
      confirmed = apply(confirmed, entry.patch);
    }
    this.confirmed = confirmed;
    this.version += news.length;
    this.operations = this.operations.filter((op) => (op.durableAt ?? Infinity) > this.version);
    this.#show();
    return { news, settled };
  }

  /** Ask for the whole document at the next join: what is shown may be wrong. */
  distrust(): void {
    this.epoch = null;
  }

  #forget(gone: Operation[]): void {
    this.operations = this.operations.filter((op) => !gone.includes(op));
    this.#show();
  }

  #show(): void {
    if (this.confirmed !== null) {
      this.shown = share(this.shown, this.operations.reduce(put, this.confirmed));
    }
  }
}

/** Put an operation on top of a document, as far as that can take it. */
function put(document: FlowDocument, op: Operation): FlowDocument {
  try {
    op.effective = stage(document, op.patch);
  } catch {
    // The server will say what is wrong with it.
    op.effective = {};
  }
  op.inverse = inverse(document, op.effective);
  return apply(document, op.effective);
}
