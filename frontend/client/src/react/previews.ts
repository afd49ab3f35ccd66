/** Others' drags and resizes that haven't ended: whose counts, and for how long. */

import { own, same } from "../model/mergepatch.js";
import type { Cursor, FlowDocument, JsonObject, Moving } from "../types.js";

/** Milliseconds until a drag that isn't repeated is hidden: its page froze, or is gone. */
export const PATIENCE = 5_000;

/** Milliseconds after which a page repeats its drag. */
export const RENEWAL = 1_000;

type Movings = ReadonlyMap<string, Moving>;

/** The last message of one page. */
interface Sign {
  cursor: Cursor;
  /** When, by a monotonic clock. */
  at: number;
  /** The parts that a later change of the document overrules, by node. */
  past: Map<string, Moving>;
}

/**
 * Shows where others drag nodes now.
 *
 * The newest counts. If two people drag one node, the last move is shown. A change of the document that moves
 * the node overrules earlier drags. A drag that isn't repeated ends.
 */
export class Previews {
  /** When the next shown drag times out; `null` if none does. */
  endsAt: number | null = null;
  #signs = new Map<string, Sign>();
  #nodes: FlowDocument["nodes"] = {};
  #shown: Movings = new Map();

  /**
   * Take the current nodes and cursors.
   *
   * @param now milliseconds, by a monotonic clock.
   * @returns by node. Unchanged values, and an unchanged map, stay the very same objects.
   */
  take(nodes: FlowDocument["nodes"], cursors: ReadonlyMap<string, Cursor>, now: number): Movings {
    for (const sign of this.#signs.values()) {
      this.#overrule(sign, nodes);
    }
    const signs = new Map<string, Sign>();
    for (const [clientId, cursor] of cursors) {
      const known = this.#signs.get(clientId);
      signs.set(clientId, known?.cursor === cursor ? known : renewed(cursor, now, known?.past));
    }
    this.#nodes = nodes;
    this.#signs = signs;
    const current = [...signs.values()]
      .filter(({ cursor, at }) => cursor.moving !== undefined && now - at < PATIENCE)
      .sort((a, b) => a.at - b.at);
    const [oldest] = current;
    this.endsAt = oldest === undefined ? null : oldest.at + PATIENCE;
    const listed = this.#list(current);
    const isSame = listed.size === this.#shown.size && [...listed].every(([id, one]) => this.#shown.get(id) === one);
    this.#shown = isSame ? this.#shown : listed;
    return this.#shown;
  }

  /** Note which parts of a sign the document overrules. */
  #overrule({ cursor, past }: Sign, nodes: FlowDocument["nodes"]): void {
    for (const [id, moving] of Object.entries(cursor.moving ?? {})) {
      const [before, now] = [own(this.#nodes, id), own(nodes, id)];
      if (before !== now && before !== undefined && now !== undefined && !isSamePlace(before, now)) {
        past.set(id, moving);
      }
    }
  }

  /** List the newest drag of each node. */
  #list(current: readonly Sign[]): Movings {
    const moving = new Map<string, Moving>();
    for (const { cursor, past } of current) {
      for (const [id, given] of Object.entries(cursor.moving ?? {})) {
        if (!past.has(id)) {
          const old = this.#shown.get(id);
          moving.set(id, old !== undefined && same(old, given) ? old : given);
        }
      }
    }
    return moving;
  }
}

/** Give a page's newest sign. What it repeats from before the document's change stays overruled. */
function renewed(cursor: Cursor, at: number, before?: ReadonlyMap<string, Moving>): Sign {
  const { moving = {} } = cursor;
  const past = [...(before ?? [])].filter(([id, one]) => {
    const now = Object.hasOwn(moving, id) ? moving[id] : undefined;
    return now !== undefined && same(now, one);
  });
  return { cursor, at, past: new Map(past) };
}

const PLACE = ["position", "parentId", "width", "height"];

function isSamePlace(a: JsonObject, b: JsonObject): boolean {
  return PLACE.every((name) => same(own(a, name), own(b, name)));
}
