/** A client's copy of a flow: the confirmed document, with unconfirmed operations on top. */

import type { FlowDocument, FlowEntry, JsonObject } from "../types.js";
import { basesIn, type Bases, withOthers } from "./bases.js";
import { type Change, textsOf } from "./change.js";
import { apply, stage } from "./document.js";
import { Draft } from "./draft.js";
import { publicId } from "./ids.js";
import { inverse, isEmpty, same, share } from "./mergepatch.js";
import { overtake, undoing } from "./undoing.js";

/** A client's patch on its way into the log. */
export interface Operation extends Change {
  /** The secret client id under which it is sent. */
  readonly clientId: string;
  readonly opId: number;
  /** When it was made, by the count of this browser's pages: see `Changes`. */
  at: number;
  /** Until it is sent it may grow. */
  patch: JsonObject;
  /** Whether a server may have it. */
  isSent: boolean;
  /**
   * The changes that it undoes, until the log has it: its patch follows from the final effect of those, and
   * from what others have changed since. `null` if it undoes nothing, so its patch is fixed.
   */
  undoes: readonly Change[] | null;
  /** Whether it must wait, because what it undoes is still on its way. */
  waits: boolean;
  /** The only version of the flow at which it counts; `null` for any. */
  ifVersion: number | null;
  /** The texts that its texts were made from: see `withOthers`. */
  bases: Bases;
  /** What it is marked with; `{}` for nothing. */
  tags: JsonObject;
  /** What it changed here before a whole document came, which may hold it. */
  assumed: Pick<Change, "effective" | "inverse"> | null;
  /** Whether the document is assumed to hold it, so that it isn't applied on top. */
  isTakenIn: boolean;
}

/** What an operation is made from. */
export type NewOperation = Pick<Operation, "clientId" | "opId" | "at" | "patch"> &
  Partial<Pick<Operation, "isSent" | "undoes" | "bases" | "tags">>;

/** An operation that is now known to be durable. */
export interface Settled {
  op: Operation;
  entry: FlowEntry;
  /** JSON Pointers of texts in which somebody else changed the same words. */
  conflicts: readonly string[];
}

/** Entries are missing between the replica's version and the received ones. */
export class Gap extends Error {
  override readonly name = "Gap";
}

/** A place in a log: which log, and how far. */
export interface Place {
  /** The identity of the log. */
  epoch: string;
  /** The version of the confirmed document. */
  version: number;
  /** The log's chain value at that version; `null` if the server sent none. */
  chain: string | null;
}

/** The document that a client shows. */
export class Replica {
  /** The identity of the log; `null` before the first `adopt`, and after `distrust`. */
  epoch: string | null = null;
  version = 0;
  chain: string | null = null;
  /** The confirmed document; `null` before the first `adopt`. */
  confirmed: FlowDocument | null = null;
  /** What to show. */
  shown: FlowDocument | null = null;
  /** The operations on top of the confirmed document, in order. */
  operations: Operation[] = [];
  readonly #byName = new Map<string, Operation>();
  /** The clients' public ids. */
  readonly #authors = new Map<string, string>();
  /** The shown document without the last operation. */
  #beneath: FlowDocument | null = null;
  /** Undoing operations whose patch has changed. */
  readonly #reduced = new Set<Operation>();

  /** The operations that are not known to be durable, in order. */
  get unconfirmed(): Operation[] {
    return this.operations.filter((op) => op.durableAt === null);
  }

  /** How many operations that are. */
  get unsent(): number {
    let count = 0;
    for (const { durableAt } of this.operations) {
      count += durableAt === null ? 1 : 0;
    }
    return count;
  }

  /**
   * Tell whether a log goes on from what is confirmed. So does the first log of a flow that wasn't made:
   * each node of a server has an epoch of its own for it until one of them makes it.
   */
  isContinuedIn(epoch: string): boolean {
    return epoch === this.epoch || (this.epoch !== null && this.version === 0);
  }

  /**
   * Take a client's patch. It is shown at once, as far as the document can take it.
   *
   * @param texts JSON Pointers of its texts, which were made from what is shown.
   */
  submit(given: NewOperation, texts: readonly string[] = []): Operation {
    const op = this.#note({ bases: basesIn(this.shown ?? {}, texts), ...given });
    this.operations.push(op);
    if (this.shown !== null) {
      this.#beneath = this.shown;
      this.shown = apply(this.shown, this.#put(this.shown, op));
    }
    return op;
  }

  /** Take patches that were made before the unsent ones. */
  submitBefore(given: readonly NewOperation[]): Operation[] {
    const ops = given.map((one) => this.#note(one));
    const first = this.operations.findIndex(({ isSent, durableAt }) => !isSent && durableAt === null);
    const before = first === -1 ? this.operations.length : first;
    this.operations = [...this.operations.slice(0, before), ...ops, ...this.operations.slice(before)];
    this.#show();
    return ops;
  }

  /**
   * Replace an operation's patch.
   *
   * @param texts JSON Pointers of what in it are texts, made of what is shown.
   */
  replace(op: Operation, patch: JsonObject, texts: readonly string[] = []): void {
    op.patch = patch;
    if (texts.length > 0) {
      op.bases = { ...op.bases, ...basesIn(this.#under(op), texts) };
    }
    if (op === this.operations.at(-1) && this.#beneath !== null) {
      this.shown = share(this.shown, apply(this.#beneath, this.#put(this.#beneath, op)));
    } else {
      this.#show();
    }
  }

  /** Replace an operation that no server has yet by several. */
  split(op: Operation, given: readonly NewOperation[]): Operation[] {
    const parts = given.map((one) => this.#note({ bases: op.bases, tags: op.tags, ...one }));
    this.#byName.delete(this.#nameOf(op));
    this.operations = this.operations.flatMap((one) => (one === op ? parts : [one]));
    this.#show();
    if (op.undoes !== null) {
      parts.forEach((part) => {
        part.undoes = [replacing(this.version, part)];
      });
    }
    return parts;
  }

  has(op: Change): boolean {
    return this.operations.includes(op as Operation);
  }

  find(author: string | null, opId: number | null): Operation | undefined {
    return this.#byName.get(`${author ?? ""} ${opId ?? ""}`);
  }

  /**
   * Note that the log holds an operation at `version`. It stays on top until that version arrives.
   *
   * @param effective its effective patch, if the server sent one.
   */
  acknowledge(op: Operation, version: number, effective?: JsonObject): void {
    if (!this.has(op)) {
      return;
    }
    op.durableAt ??= version;
    op.undoes = null;
    const isNothing = effective !== undefined && isEmpty(effective);
    if (isNothing) {
      op.assumed = NOTHING;
    } else if (op.durableAt > this.version && !isEmpty(op.patch)) {
      return;
    }
    // It came with a whole document, so its effect is the one that it had here before.
    const { effective: changed, inverse: back } = op.assumed ?? op;
    const shown = op.effective;
    op.effective = effective === undefined || isNothing ? changed : effective;
    op.inverse = back;
    // Only now: the patch that undoes it follows from that.
    this.#forget(op, shown);
  }

  /** Let other pages send these operations: whatever isn't answered may have reached a server. */
  markSent(): void {
    for (const op of this.unconfirmed) {
      op.isSent = true;
    }
  }

  /** Remove an operation that will never be in the log. */
  refuse(op: Operation): void {
    this.#forget(op);
    Object.assign(op, NOTHING);
  }

  /**
   * Start from a whole document. Durable operations are in it, or in a log that no longer exists; the rest
   * is shown on top.
   *
   * @param mayHold tells whether the document may hold an operation that was sent.
   */
  adopt(
    { epoch, version, chain }: Place,
    document: FlowDocument,
    mayHold: (op: Operation) => boolean = () => true,
  ): void {
    const isSameLog = this.isContinuedIn(epoch);
    this.epoch = epoch;
    this.version = version;
    this.chain = chain;
    this.confirmed = document;
    this.operations.filter((op) => op.durableAt !== null).forEach((op) => {
      this.#byName.delete(this.#nameOf(op));
    });
    this.operations = this.unconfirmed;
    for (const op of this.operations) {
      if (op.isSent && isSameLog && mayHold(op)) {
        op.assumed ??= { effective: op.effective, inverse: op.inverse };
      }
    }
    this.#show();
  }

  /**
   * Take entries, and skip known ones.
   *
   * @param chain the log's chain value at the last of them.
   * @param watch is called with each new entry and the document before it.
   * @returns the new entries, and the operations that are now durable.
   * @throws Gap if an entry before them is missing; then nothing was taken.
   */
  receive(
    entries: readonly FlowEntry[],
    chain: string | null,
    watch: (entry: FlowEntry, before: FlowDocument) => void = () => undefined,
  ): { news: FlowEntry[]; settled: Settled[] } {
    const news = entries.filter((entry) => entry.version > this.version);
    if (this.confirmed === null || news.some(({ version }, n) => version !== this.version + n + 1)) {
      throw new Gap();
    }
    const settled: Settled[] = [];
    const draft = new Draft(this.confirmed);
    let isAsShown = true;
    for (const entry of news) {
      const op = this.find(entry.client_id, entry.op_id);
      if (op !== undefined) {
        // If the log takes the lowest operation exactly as it is shown, the shown document stays as it is.
        isAsShown &&=
          op === this.operations[settled.length] && !op.isTakenIn && same(op.effective, entry.patch);
        op.durableAt ??= entry.version;
        op.assumed = null;
        op.undoes = null;
        settled.push({ op, entry, conflicts: withOthers(draft.document, op.patch, op.bases).conflicts });
        op.effective = entry.patch;
        op.inverse = inverse(draft.document, entry.patch);
      } else {
        isAsShown = false;
        this.#overtake(entry);
      }
      watch(entry, draft.document);
      draft.apply(entry.patch);
    }
    this.confirmed = news.length === 0 ? this.confirmed : draft.done();
    this.version += news.length;
    if (entries.at(-1)?.version === this.version || entries.length === 0) {
      this.chain = chain;
    }
    this.#leave(settled.length, isAsShown);
    return { news, settled };
  }

  /**
   * Release operations whose undone changes are settled by now.
   *
   * @returns those, and all other undoing operations whose patch has changed.
   */
  release(): Operation[] {
    for (const op of this.operations) {
      if (op.waits && !this.#isWaiting(op)) {
        op.waits = false;
        this.#reduced.add(op);
      }
    }
    const released = [...this.#reduced].filter((op) => !op.waits && this.has(op));
    this.#reduced.clear();
    return released;
  }

  #isWaiting({ undoes }: Operation): boolean {
    return undoes?.some((one) => this.has(one)) ?? false;
  }

  /** Let undoing operations leave alone what somebody else has changed by now. */
  #overtake({ patch, version }: FlowEntry): void {
    for (const { undoes } of this.operations) {
      undoes?.forEach((one) => {
        overtake(one, patch, version);
      });
    }
  }

  /** Ask for the whole document at the next join, because the shown one may be wrong. */
  distrust(): void {
    this.epoch = null;
  }

  #note(given: NewOperation): Operation {
    const op: Operation = {
      isSent: false,
      undoes: null,
      waits: false,
      ifVersion: null,
      bases: {},
      tags: {},
      durableAt: null,
      effective: {},
      inverse: {},
      assumed: null,
      isTakenIn: false,
      ...given,
    };
    op.waits = this.#isWaiting(op);
    this.#byName.set(this.#nameOf(op), op);
    return op;
  }

  /** Give an operation's name in the log. */
  #nameOf({ clientId, opId }: Operation): string {
    const author = this.#authors.get(clientId) ?? publicId(clientId);
    this.#authors.set(clientId, author);
    return `${author} ${opId}`;
  }

  /** Remove operations that are durable and have arrived. */
  #leave(settled: number, isAsShown: boolean): void {
    const isHere = (op: Operation): boolean => (op.durableAt ?? Infinity) > this.version;
    const gone = isAsShown
      ? this.operations.slice(0, settled)
      : this.operations.filter((op) => !isHere(op));
    gone.forEach((op) => {
      this.#byName.delete(this.#nameOf(op));
    });
    if (isAsShown) {
      this.operations.splice(0, settled);
    } else {
      this.operations = this.operations.filter(isHere);
      this.#show();
    }
  }

  /** @param shown its effect on the shown document. */
  #forget(gone: Operation, shown = gone.effective): void {
    this.#byName.delete(this.#nameOf(gone));
    const wasThere = this.operations.includes(gone);
    this.operations = this.operations.filter((op) => op !== gone);
    this.#beneath = null;
    if (wasThere && !isEmpty(shown)) {
      this.#show();
    }
  }

  /** Give the document below an operation. */
  #under(op: Operation): JsonObject {
    if (op === this.operations.at(-1) && this.#beneath !== null) {
      return this.#beneath;
    }
    const below = this.operations.slice(0, this.operations.indexOf(op));
    return this.confirmed === null ? {} : this.#on(this.confirmed, below);
  }

  /** Apply operations on top of a document. */
  #on(document: FlowDocument, operations: readonly Operation[]): FlowDocument {
    const draft = new Draft(document);
    for (const op of operations) {
      draft.apply(this.#put(draft.document, op));
    }
    return draft.done();
  }

  #show(): void {
    if (this.confirmed === null) {
      return;
    }
    const last = this.operations.at(-1);
    if (last === undefined) {
      this.shown = share(this.shown, this.confirmed);
      return;
    }
    this.#beneath = this.#on(this.confirmed, this.operations.slice(0, -1));
    this.shown = share(this.shown, apply(this.#beneath, this.#put(this.#beneath, last)));
  }

  /** Give an operation's effect on a document, as far as the document can take it. */
  #put(document: FlowDocument, op: Operation): JsonObject {
    const patch = op.undoes === null ? op.patch : undoing(document, op.undoes);
    if (op.undoes !== null) {
      op.bases = basesIn(document, textsOf(op.undoes));
    }
    let effective: JsonObject;
    try {
      effective = stage(document, withOthers(document, patch, op.bases, op.assumed !== null).patch);
    } catch {
      // The server will report what is wrong with it.
      effective = {};
    }
    op.isTakenIn = op.assumed !== null && isEmpty(effective);
    if (op.isTakenIn) {
      Object.assign(op, op.assumed);
      return {};
    }
    if (!same(op.patch, patch)) {
      op.patch = patch;
      this.#reduced.add(op);
    }
    op.effective = effective;
    op.inverse = inverse(document, effective);
    return effective;
  }
}

const NOTHING: Pick<Change, "effective" | "inverse"> = { effective: {}, inverse: {} };

/**
 * Describe what an operation undoes by the values that it replaces: it applies while those are unchanged.
 *
 * @param version the version at which those values are known.
 */
export function replacing(
  version: number,
  { patch, inverse: values }: Pick<Operation, "patch" | "inverse">,
): Change {
  return { durableAt: version, effective: values, inverse: patch };
}
