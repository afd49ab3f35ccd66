/** Who an entry is by, in words. */

import { authorOf, type FlowEntry } from "helix-flows";

/**
 * Name who made an entry, and say what is not to be seen from a name: that it was a guest, a service, or an AI.
 *
 * Nobody else than the server's operator can take away `source: ai` of a grant; but whoever is without one may
 * claim what they like.
 */
export function authorship({ by, actor, tags }: Pick<FlowEntry, "by" | "actor" | "tags">): string {
  const name = authorOf(by) || authorOf(actor?.name) || authorOf(actor?.id) || "Somebody";
  const kinds = actor === undefined || actor.kind === "person" ? [] : [actor.kind];
  const marks = tags?.["source"] === "ai" ? [...kinds, "AI"] : kinds;
  return marks.length === 0 ? name : `${name} (${marks.join(", ")})`;
}
