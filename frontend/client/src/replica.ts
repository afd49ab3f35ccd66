/** A client's copy of a flow: what the server confirmed, with what is on its way there on top. */

import { basesIn, type Bases, withOthers } from "./bases";
import { apply, stage } from "./document";
import { publicId } from "./ids";
import { inverse, isEmpty, same, share } from "./mergepatch";
import type { FlowDocument, FlowEntry, JsonObject } from "./types";
import { type Change, textsOf, undoing } from "./undoing";

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
   * What it takes back, while that is on its way: until then what it does itself follows from what the
   * others turn out to have done. `null` once its patch is what counts.
   */
  undoes: readonly Change[] | null;
  /** The version of the flow at which alone it counts; `null` where that doesn't matter. */
  ifVersion: number | null;
  /** Of what its texts were made: see `withOthers`. */
  bases: Bases;
  /** What it changed when it was shown before a whole document came, which may hold it. */
  assumed: Pick<Change, "effective" | "inverse"> | null;
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
      this.shown = put(this.shown, op);
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
      this.shown = share(this.shown, put(this.#beneath, op));
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
    const isNothing = effective !== undefined && isEmpty(effective);
    if (isNothing) {
      op.assumed = NOTHING;
    } else if (op.durableAt > this.version && !isEmpty(op.patch)) {
      return;
    }
    // It came with a whole document, so what it changed is what it had changed here before.
    const { effective: changed, inverse: back } = op.assumed ?? op;
    this.#forget(op);
    op.effective = effective === undefined || isNothing ? changed : effective;
    op.inverse = back;
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
    let confirmed = this.confirmed;
    let isAsShown = true;
    for (const entry of news) {
      const op = this.find(entry.client_id, entry.op_id);
      if (op !== undefined) {
        // What is shown stays as it is where the log takes what lies lowest, and just as it is shown.
        isAsShown &&= op === this.operations[settled.length] && same(op.effective, entry.patch);
        op.durableAt ??= entry.version;
        op.assumed = null;
        op.undoes = null;
        settled.push({ op, entry, conflicts: withOthers(confirmed, op.patch, op.bases).conflicts });
        op.effective = entry.patch;
        op.inverse = inverse(confirmed, entry.patch);
      } else {
        isAsShown = false;
      }
      watch(entry, confirmed);
      confirmed = apply(confirmed, entry.patch);
    }
    this.confirmed = confirmed;
    this.version += news.length;
    if (entries.at(-1)?.version === this.version || entries.length === 0) {
      this.chain = chain;
    }
    this.#leave(settled.length, isAsShown);
    return { news, settled };
  }

  /**
   * Let the patches count of operations that waited for what they take back, where that is settled.
   *
   * @returns those operations.
   */
  ripen(): Operation[] {
    const ripe = this.operations.filter(
      ({ undoes }) => undoes !== null && !undoes.some((one) => this.has(one)),
    );
    for (const op of ripe) {
      op.patch = op.effective;
      op.undoes = null;
    }
    return ripe;
  }

  /** Ask for the whole document at the next join: what is shown may be wrong. */
  distrust(): void {
    this.epoch = null;
  }

  #note(given: NewOperation): Operation {
    const op: Operation = {
      isSent: false,
      undoes: null,
      ifVersion: null,
      bases: {},
      durableAt: null,
      effective: {},
      inverse: {},
      assumed: null,
      ...given,
    };
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

  #forget(gone: Operation): void {
    this.#byName.delete(this.#nameOf(gone));
    const wasThere = this.operations.includes(gone);
    this.operations = this.operations.filter((op) => op !== gone);
    this.#beneath = null;
    if (wasThere && !isEmpty(gone.effective)) {
      this.#show();
    }
  }

  /** Give what an operation is on top of. */
  #under(op: Operation): JsonObject {
    if (op === this.operations.at(-1) && this.#beneath !== null) {
      return this.#beneath;
    }
    const below = this.operations.slice(0, this.operations.indexOf(op));
    return this.confirmed === null ? {} : below.reduce(put, this.confirmed);
  }

  #show(): void {
    if (this.confirmed === null) {
      return;
    }
    let document = this.confirmed;
    for (const op of this.operations) {
      this.#beneath = document;
      document = put(document, op);
    }
    this.shown = share(this.shown, document);
  }
}

const NOTHING: Pick<Change, "effective" | "inverse"> = { effective: {}, inverse: {} };

/** Put an operation on top of a document, as far as that can take it. */
function put(document: FlowDocument, op: Operation): FlowDocument {
  let effective: JsonObject;
  try {
    if (op.undoes === null) {
      effective = stage(document, withOthers(document, op.patch, op.bases, op.assumed !== null).patch);
    } else {
      effective = stage(document, undoing(document, op.undoes));
      op.bases = basesIn(document, textsOf(op.undoes));
    }
  } catch {
    // The server will say what is wrong with it.
    effective = {};
  }
  if (op.assumed !== null && isEmpty(effective)) {
    Object.assign(op, op.assumed);
    return document;
  }
  op.effective = effective;
  op.inverse = inverse(document, effective);
  return apply(document, effective);
}

