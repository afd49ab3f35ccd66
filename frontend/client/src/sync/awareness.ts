/** Who is in the flow, as one page knows it and tells it. */

import { DragReader, DragTeller } from "../model/drags.js";
import { isEmpty } from "../model/mergepatch.js";
import { fittingMeta, membersOf } from "../model/presence.js";
import { sizeOf } from "../model/split.js";
import type { Cursor, JsonObject, Member, PresenceMeta } from "../types.js";
import { Throttle } from "./throttle.js";

/** Milliseconds between cursors that are sent: not more than 30 a second. */
const CURSOR_INTERVAL = 34;

/** Milliseconds between what is told of oneself. */
const PRESENCE_INTERVAL = 100;

const NO_CURSORS: ReadonlyMap<string, Cursor> = new Map();

/** How the server is told, and who is told that somebody came, left or moved. */
export interface AwarenessOwner {
  tell(event: "presence" | "cursor", payload: JsonObject): void;
  changed(): void;
}

/** The members of a flow, their pointers, and what one shows of oneself. */
export class Awareness {
  members: readonly Member[] = [];
  cursors: ReadonlyMap<string, Cursor> = NO_CURSORS;
  readonly #clientId: () => string;
  readonly #owner: AwarenessOwner;
  readonly #cursor: Throttle<Cursor | null>;
  readonly #presence: Throttle<PresenceMeta>;
  readonly #teller = new DragTeller();
  readonly #reader = new DragReader();
  #meta: PresenceMeta = {};

  constructor(clientId: () => string, owner: AwarenessOwner) {
    this.#clientId = clientId;
    this.#owner = owner;
    this.#cursor = new Throttle((cursor) => {
      const told = cursor === null ? {} : this.#teller.say(cursor);
      owner.tell("cursor", told);
      return told["moving"] === undefined ? 0 : sizeOf(told);
    }, CURSOR_INTERVAL);
    this.#presence = new Throttle(() => {
      this.arrive();
      return 0;
    }, PRESENCE_INTERVAL);
  }

  /** Say again, after a join, what that doesn't say. */
  arrive(): void {
    if (!isEmpty(this.#meta)) {
      this.#owner.tell("presence", fittingMeta(this.#meta));
    }
  }

  setCursor(cursor: Cursor | null): void {
    this.#cursor.give(cursor);
  }

  setPresence(meta: PresenceMeta): void {
    this.#meta = { ...this.#meta, ...meta };
    this.#presence.give(this.#meta);
  }

  /**
   * Take what Phoenix's `Presence` lists. Whoever is gone points nowhere: a page that lagged isn't told
   * so by a frame of pointers.
   */
  present(list: readonly { key: string; metas: JsonObject[] }[]): void {
    const before = this.members;
    this.members = membersOf(list, this.#clientId());
    const here = new Set(this.members.map(({ clientId }) => clientId));
    const gone = before.filter(({ clientId }) => !here.has(clientId) && this.cursors.has(clientId));
    if (gone.length > 0) {
      this.moved(Object.fromEntries(gone.map(({ clientId }) => [clientId, null])));
    } else {
      this.#owner.changed();
    }
  }

  /** Take a frame of pointers: others' newest, an empty one for each that is gone. */
  moved(frame: JsonObject): void {
    const cursors = new Map(this.cursors);
    for (const [clientId, given] of Object.entries(frame)) {
      if (clientId === this.#clientId()) {
        continue;
      }
      const cursor = this.#reader.read(clientId, given);
      if (cursor === null) {
        cursors.delete(clientId);
      } else {
        cursors.set(clientId, cursor);
      }
    }
    this.cursors = cursors;
    this.#owner.changed();
  }

  /** Forget the others: nothing is known of them any more, nor do they know what one drags. */
  leave(): void {
    this.members = [];
    this.cursors = NO_CURSORS;
    this.#reader.clear();
    this.#teller.forget();
  }

  /** Say nothing more. */
  stop(): void {
    this.#cursor.stop();
    this.#presence.stop();
  }
}
