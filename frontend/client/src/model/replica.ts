/** A client's copy of a flow: what the server confirmed, with what is on its way there on top. */

import type { FlowDocument, FlowEntry, JsonObject } from "../types.js";
import { basesIn, type Bases, withOthers } from "./bases.js";
import { type Change, textsOf } from "./change.js";
import { apply, stage } from "./document.js";
import { Draft } from "./draft.js";
import { publicId } from "./ids.js";
import { inverse, isEmpty, same, share } from "./mergepatch.js";
import { overtake, undoing } from "./undoing.js";

/** A patch of a client on its way into the log. */
export interface Operation extends Change {
  /** The name under which it is sent, which nobody else knows. */
  readonly clientId: string;
  readonly opId: number;
  /** When it was made, as this browser's pages count: see `Changes`. */
  at: number;
  /** It may still grow while it isn't sent. */
  patch: JsonObject;
  /** Whether a server may have it. */
  isSent: boolean;
  /**
   * What it takes back, until the log has it: what it does itself follows from what that turns out to have
   * done, and from what others have changed since. `null` where its patch is what counts.
   */
  undoes: readonly Change[] | null;
  /** Whether what it takes back is on its way, so that it isn't to be sent yet. */
  waits: boolean;
  /** The version of the flow at which alone it counts; `null` where that doesn't matter. */
  ifVersion: number | null;
  /** Of what its texts were made: see `withOthers`. */
  bases: Bases;
  /** What it changed when it was shown before a whole document came, which may hold it. */
  assumed: Pick<Change, "effective" | "inverse"> | null;
  /** Whether it is taken to be in the document already, so that what it changed isn't put on top of it. */
  isTakenIn: boolean;
}

/** What one makes an operation from. */
export type NewOperation = Pick<Operation, "clientId" | "opId" | "at" | "patch"> &
  Partial<Pick<Operation, "isSent" | "undoes" | "bases">>;

/** An operation that turned out to be durable. */
export interface Settled {
  op: Operation;
  entry: FlowEntry;
  /** JSON Pointers of the texts in which somebody else had changed the same words. */
  conflicts: readonly string[];
}

/** Entries are missing between what the replica has and what it was given. */
export class Gap extends Error {
  override readonly name = "Gap";
}

/** Where in which log a replica is. */
export interface Place {
  /** The identity of the log. */
  epoch: string;
  /** The version of what is confirmed. */
  version: number;
  /** What the log's entries up to there come to, as the server says; `null` where it didn't. */
  chain: string | null;
}

/** The document that a client shows. */
export class Replica {
  /** The identity of the log; `null` before the first `adopt`, and while what is shown is not trusted. */
  epoch: string | null = null;
  version = 0;
  chain: string | null = null;
  /** What is confirmed; `null` before the first `adopt`. */
  confirmed: FlowDocument | null = null;
  /** What to show. */
  shown: FlowDocument | null = null;
  /** What is on top of what is confirmed, in order. */
  operations: Operation[] = [];
  readonly #byName = new Map<string, Operation>();
  /** What the log calls the clients. */
  readonly #authors = new Map<string, string>();
  /** What is shown without the last operation. */
  #beneath: FlowDocument | null = null;
  /** What takes something back, and does something else now than it did. */
  readonly #reduced = new Set<Operation>();

  /** The operations that are not known to be durable, in order. */
  get unconfirmed(): Operation[] {
    return this.operations.filter((op) => op.durableAt === null);
  }

  /** How many those are. */
  get unsent(): number {
    let count = 0;
    for (const { durableAt } of this.operations) {
      count += durableAt === null ? 1 : 0;
    }
    return count;
  }

  /**
   * Take a client's patch, which is shown at once, as far as the document can take it.
   *
   * @param texts JSON Pointers of what in it are texts, made of what is shown.
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

  /** Take patches that were made before those that no server has yet. */
  submitBefore(given: readonly NewOperation[]): Operation[] {
    const ops = given.map((one) => this.#note(one));
    const first = this.operations.findIndex(({ isSent, durableAt }) => !isSent && durableAt === null);
    this.operations.splice(first === -1 ? this.operations.length : first, 0, ...ops);
    this.#show();
    return ops;
  }

  /**
   * Let an operation be another patch.
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

  /** Let several operations stand for one, which no server has yet. */
  split(op: Operation, given: readonly NewOperation[]): Operation[] {
    const parts = given.map((one) => this.#note({ bases: op.bases, ...one }));
    this.#byName.delete(this.#nameOf(op));
    this.operations.splice(this.operations.indexOf(op), 1, ...parts);
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
   * Note that the log holds an operation at `version`. It stays on top until that version has come.
   *
   * @param effective what of it counts, where the server says so.
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
    // It came with a whole document, so what it changed is what it had changed here before.
    const { effective: changed, inverse: back } = op.assumed ?? op;
    const shown = op.effective;
    op.effective = effective === undefined || isNothing ? changed : effective;
    op.inverse = back;
    // Only now: what takes it back follows from that.
    this.#forget(op, shown);
  }

  /** Let others send what is here: whatever isn't answered may have come to a server. */
  lend(): void {
    for (const op of this.unconfirmed) {
      op.isSent = true;
    }
  }

  /** Take away an operation that will never be in the log. */
  refuse(op: Operation): void {
    this.#forget(op);
    Object.assign(op, NOTHING);
  }

  /**
   * Begin anew from a whole document. What is durable is in it, or in a log that is no more; the rest
   * is shown on top.
   *
   * @param mayHold tells whether the document may hold an operation that was sent.
   */
  adopt(
    { epoch, version, chain }: Place,
    document: FlowDocument,
    mayHold: (op: Operation) => boolean = () => true,
  ): void {
    const isSameLog = epoch === this.epoch;
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
   * Take entries; those that are known already are skipped.
   *
   * @param chain what the log's entries up to the last of these come to.
   * @param watch is given each new entry with the document before it.
   * @returns the entries that were new, and the operations that turned out to be durable.
   * @throws Gap when one before them is missing; nothing was taken.
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
        // What is shown stays as it is where the log takes what lies lowest, and just as it is shown.
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
   * Let operations be sent that waited for what they take back, where that is settled.
   *
   * @returns those, and all others that take something back and do something else now.
   */
  ripen(): Operation[] {
    for (const op of this.operations) {
      if (op.waits && !this.#isWaiting(op)) {
        op.waits = false;
        this.#reduced.add(op);
      }
    }
    const ripe = [...this.#reduced].filter((op) => !op.waits && this.has(op));
    this.#reduced.clear();
    return ripe;
  }

  #isWaiting({ undoes }: Operation): boolean {
    return undoes?.some((one) => this.has(one)) ?? false;
  }

  /** Let what takes something back leave what somebody else has changed by now. */
  #overtake({ patch, version }: FlowEntry): void {
    for (const { undoes } of this.operations) {
      undoes?.forEach((one) => {
        overtake(one, patch, version);
      });
    }
  }

  /** Ask for the whole document at the next join: what is shown may be wrong. */
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

  /** Tell by what name the log knows an operation. */
  #nameOf({ clientId, opId }: Operation): string {
    const author = this.#authors.get(clientId) ?? publicId(clientId);
    this.#authors.set(clientId, author);
    return `${author} ${opId}`;
  }

  /** Let go of what is durable and has come. */
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

  /** @param shown what it changes of what is shown. */
  #forget(gone: Operation, shown = gone.effective): void {
    this.#byName.delete(this.#nameOf(gone));
    const wasThere = this.operations.includes(gone);
    this.operations = this.operations.filter((op) => op !== gone);
    this.#beneath = null;
    if (wasThere && !isEmpty(shown)) {
      this.#show();
    }
  }

  /** Give what an operation is on top of. */
  #under(op: Operation): JsonObject {
    if (op === this.operations.at(-1) && this.#beneath !== null) {
      return this.#beneath;
    }
    const below = this.operations.slice(0, this.operations.indexOf(op));
    return this.confirmed === null ? {} : this.#on(this.confirmed, below);
  }

  /** Put operations on top of a document. */
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

  /** Say what an operation does on top of a document, as far as that can take it. */
  #put(document: FlowDocument, op: Operation): JsonObject {
    const patch = op.undoes === null ? op.patch : undoing(document, op.undoes);
    if (op.undoes !== null) {
      op.bases = basesIn(document, textsOf(op.undoes));
    }
    let effective: JsonObject;
    try {
      effective = stage(document, withOthers(document, patch, op.bases, op.assumed !== null).patch);
    } catch {
      // The server will say what is wrong with it.
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
 * Say what an operation takes back by what it replaces: so long as that stands there, it is to be done.
 *
 * @param version the version of which is known what it replaces.
 */
export function replacing(
  version: number,
  { patch, inverse: values }: Pick<Operation, "patch" | "inverse">,
): Change {
  return { durableAt: version, effective: values, inverse: patch };
}
