/** Drags on the wire: many nodes that move together take few bytes. */

import type { Cursor, JsonObject, Moving, Point } from "../types.js";
import { isPoint, readMembers, size } from "./checks.js";
import { isObject, own } from "./mergepatch.js";
import { sizeOf } from "./split.js";

type Nodes = Record<string, Moving>;

/** From this many nodes on, one offset is sent if all have moved equally far. */
const TOGETHER = 20;

/** The largest message about a drag, in bytes: the server takes 512 KiB. */
const MAX_BYTES = 500_000;

/** How much offsets may differ, in the flow's units: numbers are rounded on the way. */
const TOLERANCE = 0.1;

/** Writes one's own drag for others. */
export class DragTeller {
  #told: { count: number; nodes: Nodes } | null = null;

  /** Write the pointer and the dragged nodes as a message. */
  say({ moving = {}, ...point }: Cursor): JsonObject {
    const ids = Object.keys(moving);
    if (ids.length < TOGETHER) {
      this.forget();
      return ids.length === 0 ? point : { ...point, moving };
    }
    const shift = this.#shift(moving, ids.length);
    if (shift !== null) {
      return { ...point, moved: shift };
    }
    const nodes = fitting(moving);
    this.#told = { count: ids.length, nodes };
    return { ...point, moving: nodes };
  }

  /** Start again: the server has forgotten the drag. */
  forget(): void {
    this.#told = null;
  }

  /** Give how far all nodes have moved since the last full message; `null` if not all equally far. */
  #shift(now: Nodes, count: number): Point | null {
    if (this.#told?.count !== count) {
      return null;
    }
    let shift: Point | null = null;
    for (const [id, was] of Object.entries(this.#told.nodes)) {
      const is = own(now, id);
      if (is === undefined || is.width !== was.width || is.height !== was.height) {
        return null;
      }
      const [x, y] = [is.x - was.x, is.y - was.y];
      shift ??= { x: rounded(x), y: rounded(y) };
      if (Math.abs(shift.x - x) > TOLERANCE || Math.abs(shift.y - y) > TOLERANCE) {
        return null;
      }
    }
    return shift;
  }
}

/** Take as many nodes as fit: the first ones are better than none. */
function fitting(moving: Nodes): Nodes {
  let entries = Object.entries(moving).map(([id, { x, y, ...size }]): [string, Moving] => [
    id,
    { x: rounded(x), y: rounded(y), ...size },
  ]);
  while (sizeOf(Object.fromEntries(entries)) > MAX_BYTES) {
    entries = entries.slice(0, Math.floor(0.8 * entries.length));
  }
  return Object.fromEntries(entries);
}

function rounded(value: number): number {
  return Math.round(100 * value) / 100;
}

/** Reads others' cursor messages: where they drag nodes now. */
export class DragReader {
  readonly #heard = new Map<string, Nodes>();

  /** Read somebody's cursor; `null` if it points nowhere. */
  read(clientId: string, given: unknown): Cursor | null {
    if (!isObject(given) || !isPoint(given)) {
      this.forget(clientId);
      return null;
    }
    const { x, y } = given;
    const moved = isPoint(given["moved"]) ? given["moved"] : undefined;
    const nodes = movingsOf(given["moving"]) ?? (moved === undefined ? undefined : this.#heard.get(clientId));
    if (nodes === undefined) {
      this.forget(clientId);
      return { x, y };
    }
    this.#heard.set(clientId, nodes);
    return { x, y, moving: moved === undefined ? nodes : shifted(nodes, moved) };
  }

  /** Forget a client. */
  forget(clientId: string): void {
    this.#heard.delete(clientId);
  }

  clear(): void {
    this.#heard.clear();
  }
}

/** Read nodes' places. Impossible and unknown values are left out. */
function movingsOf(given: unknown): Nodes | undefined {
  if (!isObject(given)) {
    return undefined;
  }
  const read = Object.entries(given).flatMap(([id, one]): [string, Moving][] =>
    isObject(one) && isPoint(one) ? [[id, { x: one.x, y: one.y, ...readMembers(one, { width: size, height: size }) }]] : [],
  );
  return Object.fromEntries(read);
}

function shifted(nodes: Nodes, by: Point): Record<string, Moving> {
  return Object.fromEntries(
    Object.entries(nodes).map(([id, { x, y, ...size }]) => [id, { x: x + by.x, y: y + by.y, ...size }]),
  );
}
