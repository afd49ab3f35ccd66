/** What is dragged, as it goes over the wire: many nodes that go together take little to tell. */

import type { Cursor, JsonObject, Moving, Point } from "../types.js";
import { isPoint, readMembers, size } from "./checks.js";
import { isObject, own } from "./mergepatch.js";
import { sizeOf } from "./split.js";

type Nodes = Record<string, Moving>;

/** From so many nodes on it is told how far they have come, where all have come as far. */
const TOGETHER = 20;

/** Bytes of what is told of a drag at once: the server takes 512 KiB. */
const MAX_BYTES = 500_000;

/** By how much what goes together may differ, in the flow's units: numbers are rounded on the way. */
const TOLERANCE = 0.1;

/** Tells others of one's own drag. */
export class DragTeller {
  #told: { count: number; nodes: Nodes } | null = null;

  /** Say where one points and what one drags, as it goes over the wire. */
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

  /** Begin anew: the server knows nothing of it any more. */
  forget(): void {
    this.#told = null;
  }

  /** Tell how far all have come since they were told; `null` where that isn't the same for all. */
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

/** Take as many nodes as can be told of: the first are better than none. */
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

/** Makes of what is told of others' cursors where they have nodes now. */
export class DragReader {
  readonly #heard = new Map<string, Nodes>();

  /** Take somebody's cursor; `null` for one that points nowhere. */
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

  /** Know nothing of a client any more. */
  forget(clientId: string): void {
    this.#heard.delete(clientId);
  }

  clear(): void {
    this.#heard.clear();
  }
}

/** Read where nodes are; what can't be is left out, and so is what isn't understood. */
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
