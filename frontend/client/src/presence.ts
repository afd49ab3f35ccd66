/** Who else is in a flow, and where their pointers are. */

import { isObject } from "./mergepatch";
import { sizeOf } from "./split";
import type { Cursor, JsonObject, Member, PresenceMeta } from "./types";

/** Milliseconds between cursors that are sent: not more than 30 a second. */
export const CURSOR_INTERVAL = 34;

/** Nodes that a cursor may tell of (CUR2). */
const MAX_MOVING = 100;

/** Bytes of what one shows of oneself, at most: the server takes 4 KiB. */
const MAX_META = 4000;

/** What members get who give no colour; all stand out on white and on black. */
const COLORS = ["#e5484d", "#d6409f", "#8e4ec6", "#3e63dd", "#0588f0", "#12a594", "#30a46c", "#f76b15"];

/** What the server says in a meta. */
const OF_SERVER = new Set(["phx_ref", "phx_ref_prev", "client_id"]);

/** Make the members of what Phoenix's `Presence` lists. */
export function membersOf(
  list: readonly { key: string; metas: readonly JsonObject[] }[],
  ownClientId: string,
): Member[] {
  return list.flatMap(({ key, metas }) => metas.map((meta) => memberOf(key, meta, ownClientId)));
}

function memberOf(key: string, given: JsonObject, ownClientId: string): Member {
  const clientId = text(given["client_id"]) ?? key;
  const meta = Object.fromEntries(Object.entries(given).filter(([name]) => !OF_SERVER.has(name)));
  return {
    clientId,
    key,
    name: text(meta["name"]) ?? "Somebody",
    color: text(meta["color"]) ?? colorOf(key),
    isSelf: clientId === ownClientId,
    meta,
  };
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** Give the same name the same colour everywhere. */
function colorOf(name: string): string {
  let sum = 0;
  for (const character of name) {
    sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 65_521;
  }
  return COLORS[sum % COLORS.length] ?? "";
}

/** Take a `cursors` frame: others' pointers, an empty one for each that is gone. */
export function mergeCursors(
  cursors: ReadonlyMap<string, Cursor>,
  frame: JsonObject,
  ownClientId: string,
): ReadonlyMap<string, Cursor> {
  const merged = new Map(cursors);
  for (const [clientId, cursor] of Object.entries(frame)) {
    if (clientId === ownClientId) {
      continue;
    }
    if (isObject(cursor) && typeof cursor["x"] === "number" && typeof cursor["y"] === "number") {
      merged.set(clientId, cursor as unknown as Cursor);
    } else {
      merged.delete(clientId);
    }
  }
  return merged;
}

/** Tell of as many nodes that one drags as others can be told of: the first are better than none. */
export function fittingCursor(cursor: Cursor): Cursor {
  const moving = Object.entries(cursor.moving ?? {});
  return moving.length > MAX_MOVING
    ? { ...cursor, moving: Object.fromEntries(moving.slice(0, MAX_MOVING)) }
    : cursor;
}

/** Tell of as much of a selection as others can be told of, likewise. */
export function fittingMeta(meta: PresenceMeta): PresenceMeta {
  let { selection = [] } = meta;
  let fitting = meta;
  while (selection.length > 0 && sizeOf(fitting) > MAX_META) {
    selection = selection.slice(0, Math.floor(0.8 * selection.length));
    fitting = { ...meta, selection };
  }
  return fitting;
}

/** Calls at most once in an interval, with the newest of what it was given. */
export class Throttle<T> {
  readonly #call: (value: T) => void;
  readonly #interval: number;
  #waiting: { value: T } | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(call: (value: T) => void, interval: number) {
    this.#call = call;
    this.#interval = interval;
  }

  give(value: T): void {
    this.#waiting = { value };
    if (this.#timer === undefined) {
      this.#pass();
    }
  }

  /** Forget what waits. */
  stop(): void {
    this.#waiting = null;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #pass(): void {
    this.#timer = undefined;
    if (this.#waiting !== null) {
      const { value } = this.#waiting;
      this.#waiting = null;
      this.#timer = setTimeout(() => {
        this.#pass();
      }, this.#interval);
      this.#call(value);
    }
  }
}
