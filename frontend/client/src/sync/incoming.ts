/** Messages of the server about a flow: the answer to a join, entries, a whole document. */

import { publicId } from "../model/ids.js";
import { isObject } from "../model/mergepatch.js";
import { Gap, type Operation, type Replica } from "../model/replica.js";
import { authorOf } from "../model/wellformed.js";
import type { FlowDocument, FlowEntry, FlowEvent, JsonObject } from "../types.js";
import type { Access } from "./access.js";
import type { Changes } from "./changes.js";
import { pointers } from "./outbox.js";
import type { Outcomes } from "./outcomes.js";

/** Hears of it. */
export interface IncomingOwner {
  /** The state has changed. */
  changed(): void;
  /** What this client may do has changed. */
  accessChanged(): void;
  tell(event: FlowEvent): void;
  /** Stop sending an operation. */
  settle(op: Operation): void;
  /** Store the confirmed document, at once or after a while. */
  keepDocument(isAtOnce: boolean): void;
}

/** Takes the server's messages. An impossible one throws, and the client joins again. */
export class Incoming {
  /** The limits, from the last join. */
  limits: unknown;
  /** Changes whenever the names of versions may have changed. */
  namesChanged = 0;
  /** Whether there was a join. */
  wasJoined = false;
  readonly #replica: Replica;
  readonly #changes: Changes;
  readonly #outcomes: Outcomes;
  readonly #access: Access;
  readonly #owner: IncomingOwner;

  constructor(
    replica: Replica,
    changes: Changes,
    outcomes: Outcomes,
    access: Access,
    owner: IncomingOwner,
  ) {
    this.#replica = replica;
    this.#changes = changes;
    this.#outcomes = outcomes;
    this.#access = access;
    this.#owner = owner;
  }

  /** Take the answer to a join. */
  joined(response: JsonObject): void {
    this.#access.take(response);
    this.#trusting(() => {
      this.#join(response);
    });
  }

  /** Take an event. */
  received(event: string, payload: JsonObject): void {
    this.#trusting(() => {
      if (event === "entries") {
        this.#grow(payload["entries"], payload["chain"]);
      } else if (event === "role") {
        this.#access.take(payload);
        this.#owner.accessChanged();
      } else if (event === "version_named" || event === "versions_changed") {
        this.namesChanged += 1;
        this.#owner.changed();
      } else if (event === "reset") {
        this.namesChanged += 1;
        this.#adopt(payload);
      }
    });
  }

  #trusting(take: () => void): void {
    try {
      take();
    } catch (error) {
      if (!(error instanceof Gap)) {
        this.#replica.distrust();
      }
      throw error;
    }
  }

  #join(response: JsonObject): void {
    const { epoch, version, chain, document, entries, limits } = response;
    if (document !== undefined) {
      this.#adopt(response);
    } else {
      if (epoch !== this.#replica.epoch) {
        throw new Error("The server resumed another log");
      }
      this.#grow(entries, chain);
      if (typeof version !== "number" || version > this.#replica.version) {
        throw new Gap();
      }
      if (version < this.#replica.version) {
        throw new Error("The server has less than it had");
      }
      // Even if nothing is new: the flow is stored as opened now.
      this.#owner.keepDocument(false);
    }
    this.namesChanged += 1;
    this.wasJoined = true;
    this.limits = limits;
  }

  #grow(given: unknown, chain: unknown): void {
    if (!Array.isArray(given)) {
      throw new TypeError("The server sent no entries");
    }
    const { news, settled } = this.#replica.receive(
      (given as FlowEntry[]).map((entry) => ({ ...entry, by: authorOf(entry.by) })),
      chainOf(chain),
      (entry, before) => {
        this.#outcomes.losses.watch(entry, before);
      },
    );
    for (const { op } of settled) {
      this.#outcomes.settled(op);
      this.#owner.settle(op);
    }
    const own = publicId(this.#changes.clientId);
    for (const { client_id, patch, version } of news) {
      if (client_id !== own) {
        this.#changes.history.overtake(patch, version);
      }
    }
    this.#outcomes.release();
    for (const { op, entry } of settled) {
      this.#outcomes.drop(op, pointers(entry.dropped));
    }
    if (news.length > 0) {
      this.#owner.keepDocument(false);
      this.#owner.changed();
      this.#owner.tell({ type: "entries", entries: news });
    }
    const paths = [...new Set(settled.flatMap(({ conflicts }) => conflicts))];
    if (paths.length > 0) {
      this.#owner.tell({ type: "conflict", paths });
    }
  }

  #adopt({ epoch, version, chain, document, last_op_id: newest }: JsonObject): void {
    if (typeof epoch !== "string" || typeof version !== "number" || !isObject(document)) {
      throw new TypeError("The server sent no document");
    }
    if (this.#replica.epoch !== null && !this.#replica.isContinuedIn(epoch)) {
      this.#changes.history.clear();
    }
    const before = this.#replica.confirmed;
    this.#replica.adopt(
      { epoch, version, chain: chainOf(chain) },
      document as FlowDocument,
      ({ clientId, opId }) =>
        newest === undefined || clientId !== this.#changes.clientId || opId <= Number(newest ?? -1),
    );
    if (before !== null) {
      this.#outcomes.losses.compare(before, document as FlowDocument);
    }
    this.#outcomes.release();
    // The next visit shows edits from now on only on top of this document.
    this.#owner.keepDocument(true);
    this.#owner.changed();
    this.#owner.tell({ type: "replaced", epoch, version });
  }
}

function chainOf(given: unknown): string | null {
  return typeof given === "string" ? given : null;
}
