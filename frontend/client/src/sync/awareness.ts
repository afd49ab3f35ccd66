/** Presence of one page: the members and pointers that it knows, and its own. */

import { DragReader, DragTeller } from "../model/drags.js";
import { isEmpty } from "../model/mergepatch.js";
import { fittingMeta, membersOf } from "../model/presence.js";
import { sizeOf } from "../model/split.js";
import type { Cursor, JsonObject, Member, PresenceMeta } from "../types.js";
import { Throttle } from "./throttle.js";

/** Milliseconds between sent cursors: at most 30 a second. */
const CURSOR_INTERVAL = 34;

/** Milliseconds between sent changes of one's own meta. */
const PRESENCE_INTERVAL = 100;

const NO_CURSORS: ReadonlyMap<string, Cursor> = new Map();

/** Sends messages to the server, and hears that somebody came, left or moved. */
export interface AwarenessOwner {
  tell(event: "presence" | "cursor", payload: JsonObject): void;
  changed(): void;
}

/** The members of a flow, their pointers, and this page's own meta. */
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

  /** Send the meta again after a join, which doesn't contain it. */
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
   * Take the list of Phoenix's `Presence`. The pointers of members who left are removed here: a page that
   * lagged doesn't get the frame that would remove them.
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

  /** Take a frame with others' newest pointers; an empty one removes a pointer. */
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

  /** Forget the others after a disconnect. They don't know one's own drag any more, either. */
  leave(): void {
    this.members = [];
    this.cursors = NO_CURSORS;
    this.#reader.clear();
    this.#teller.forget();
  }

  /** Send nothing more. */
  stop(): void {
    this.#cursor.stop();
    this.#presence.stop();
  }
}
