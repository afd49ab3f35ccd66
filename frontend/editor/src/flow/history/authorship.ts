/** Who an entry is by, in words. */

import { authorOf, type FlowEntry } from "helix-flows";

/**
 * Name who made an entry, and say what is not to be seen from a name: that it was a guest, a service, or an AI.
 *
 * A client can't take away what its grant marks its changes with. Other tags are its own claim.
 */
export function authorship({ by, actor, tags }: Pick<FlowEntry, "by" | "actor" | "tags">): string {
  const name = authorOf(by) || authorOf(actor?.name) || authorOf(actor?.id) || "Somebody";
  const kinds = actor === undefined || actor.kind === "person" ? [] : [actor.kind];
  const marks = tags?.["source"] === "ai" ? [...kinds, "AI"] : kinds;
  return marks.length === 0 ? name : `${name} (${marks.join(", ")})`;
}
