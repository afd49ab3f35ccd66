/** The part of a document that some changes concern. */

import type { FlowDocument, JsonObject } from "../types.js";
import type { Change } from "./change.js";
import { membersOf } from "./document.js";
import { isObject, own } from "./mergepatch.js";

/** Members that refer to other nodes. */
const LEADING = ["id", "parentId", "source", "target"];

/**
 * Give a document with only the nodes and edges that some changes concern. If they create, delete or
 * reconnect any, they may concern all: then this is the document itself.
 *
 * So the cost of typing depends on what it changes, not on the size of the flow.
 */
export function excerpt(document: FlowDocument, changes: readonly Change[]): FlowDocument {
  const patches = changes.flatMap(({ effective, inverse }) => [effective, inverse]);
  if (!patches.every(isWithin)) {
    return document;
  }
  const edges = pick(document.edges, patches.flatMap((patch) => idsOf(patch["edges"])));
  const ends = Object.values(edges).flatMap(({ source, target }) => [source, target]);
  const nodes = pick(document.nodes, [...ends, ...patches.flatMap((patch) => idsOf(patch["nodes"]))], parentOf);
  return { ...document, nodes, edges };
}

/** Tell whether a patch only changes fields of existing nodes and edges that stay connected as they are. */
function isWithin(patch: JsonObject): boolean {
  return [...membersOf(patch["nodes"]), ...membersOf(patch["edges"])].every(
    ([, change]) => isObject(change) && !LEADING.some((name) => Object.hasOwn(change, name)),
  );
}

function idsOf(patch: unknown): string[] {
  return membersOf(patch).map(([id]) => id);
}

function parentOf(node: JsonObject): unknown {
  return node["parentId"];
}

/** Take members by their ids, with their parents. */
function pick<T extends JsonObject>(
  members: Record<string, T>,
  ids: readonly string[],
  outer: (member: T) => unknown = () => undefined,
): Record<string, T> {
  const picked: Record<string, T> = {};
  for (const id of ids) {
    let at: unknown = id;
    while (typeof at === "string" && !Object.hasOwn(picked, at)) {
      const member: T | undefined = own(members, at);
      if (member === undefined) {
        break;
      }
      picked[at] = member;
      at = outer(member);
    }
  }
  return picked;
}
