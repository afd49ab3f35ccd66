/** Members of a flow: read from Phoenix's `Presence`, and written to fit the server's limits. */

import type { JsonObject, Member, PresenceMeta } from "../types.js";
import { type Check, color, count, isText, object, readMembers, text, texts } from "./checks.js";
import { sizeOf } from "./split.js";
import { fittingName, shownName } from "./wellformed.js";

/** The most bytes of one's own meta: the server takes 4 KiB. */
const MAX_META = 4000;

/** Colours for members without one; all are visible on white and on black. */
const COLORS = ["#e5484d", "#d6409f", "#8e4ec6", "#3e63dd", "#0588f0", "#12a594", "#30a46c", "#f76b15"];

/** The server's own fields of a meta. */
const OF_SERVER = new Set(["phx_ref", "phx_ref_prev", "client_id"]);

/** Make members from the list of Phoenix's `Presence`. */
export function membersOf(
  list: readonly { key: string; metas: readonly JsonObject[] }[],
  ownClientId: string,
): Member[] {
  return list.flatMap(({ key, metas }) => metas.map((meta) => memberOf(key, meta, ownClientId)));
}

function memberOf(key: string, given: JsonObject, ownClientId: string): Member {
  const clientId = text(given["client_id"]) ?? key;
  const meta = metaOf(given);
  return {
    clientId,
    key,
    name: meta.name ?? "Somebody",
    color: meta.color ?? colorOf(key),
    isSelf: clientId === ownClientId,
    meta,
  };
}

const name: Check<string> = (value) => (isText(value) ? shownName(value) || undefined : undefined);

/** The known fields of a meta. An app checks its own fields itself. */
const KNOWN = { name, color, selection: texts, selected: count, editing: object };

/** Read a member's meta, which may contain anything. */
function metaOf(given: JsonObject): PresenceMeta {
  const rest = Object.entries(given).filter(([one]) => !OF_SERVER.has(one) && !Object.hasOwn(KNOWN, one));
  return { ...Object.fromEntries(rest), ...readMembers(given, KNOWN) };
}

/** Give a name's colour, the same everywhere. */
function colorOf(name: string): string {
  let sum = 0;
  for (const character of name) {
    sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 65_521;
  }
  return COLORS[sum % COLORS.length] ?? "";
}

/** Shorten a selection to what fits, and give its size: the first ids are better than none. */
export function fittingMeta(given: PresenceMeta): PresenceMeta {
  const meta = given.name === undefined ? given : { ...given, name: fittingName(given.name) };
  let { selection = [] } = meta;
  const selected = selection.length;
  let fitting = meta;
  while (selection.length > 0 && sizeOf(fitting) > MAX_META) {
    selection = selection.slice(0, Math.floor(0.8 * selection.length));
    fitting = { ...meta, selection, selected };
  }
  return fitting;
}
