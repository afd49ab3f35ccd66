/** Who else is in a flow, and where their pointers are. */

import type { JsonObject, Member, PresenceMeta } from "../types.js";
import { type Check, color, count, isText, object, readMembers, text, texts } from "./checks.js";
import { sizeOf } from "./split.js";
import { fittingName, shownName } from "./wellformed.js";

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

/** What is known of a meta; an app's own members are its own to check. */
const KNOWN = { name, color, selection: texts, selected: count, editing: object };

/** Read what a member says of itself, which may be anything. */
function metaOf(given: JsonObject): PresenceMeta {
  const rest = Object.entries(given).filter(([one]) => !OF_SERVER.has(one) && !Object.hasOwn(KNOWN, one));
  return { ...Object.fromEntries(rest), ...readMembers(given, KNOWN) };
}

/** Give the same name the same colour everywhere. */
function colorOf(name: string): string {
  let sum = 0;
  for (const character of name) {
    sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 65_521;
  }
  return COLORS[sum % COLORS.length] ?? "";
}

/** Tell of as much of a selection as others can be told of, and how much it is: the first are better than none. */
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
