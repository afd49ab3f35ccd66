/** What others drag and resize, and haven't dropped yet: whose word counts, and for how long. */

import { own, same } from "../model/mergepatch.js";
import type { Cursor, FlowDocument, JsonObject, Moving } from "../types.js";

/** Milliseconds after which what isn't said again is shown no more: its page froze, or is gone. */
export const PATIENCE = 5_000;

/** Milliseconds after which one says again what one drags. */
export const RENEWAL = 1_000;

type Movings = ReadonlyMap<string, Moving>;

/** What one page said last. */
interface Sign {
  cursor: Cursor;
  /** When, by a clock that is never set. */
  at: number;
  /** What of it the document has put elsewhere since, by node. */
  past: Map<string, Moving>;
}

/**
 * Shows where others have nodes at the moment.
 *
 * The newest counts: of two who drag one node, who moved last; and a change of the document that moves a
 * node, whoever's it is, rather than what was said before it. What isn't said again ends.
 */
export class Previews {
  /** When something of what is shown ends by itself; `null` where nothing does. */
  endsAt: number | null = null;
  #signs = new Map<string, Sign>();
  #nodes: FlowDocument["nodes"] = {};
  #shown: Movings = new Map();

  /**
   * Take what there is now.
   *
   * @param now milliseconds, by a clock that is never set.
   * @returns by node; what is the same as before is the very same object, and so is all of it.
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

  /** Note what of a sign the document has put elsewhere. */
  #overrule({ cursor, past }: Sign, nodes: FlowDocument["nodes"]): void {
    for (const [id, moving] of Object.entries(cursor.moving ?? {})) {
      const [before, now] = [own(this.#nodes, id), own(nodes, id)];
      if (before !== now && before !== undefined && now !== undefined && !isSamePlace(before, now)) {
        past.set(id, moving);
      }
    }
  }

  /** List what is said, the newest of each node. */
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

/** Give a page's newest sign. What it says as before the document put it elsewhere is no news. */
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
