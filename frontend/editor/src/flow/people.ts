/** Who is here: a person may have several tabs, each of which is a member. */

import type { Member } from "helix-flows";

import { inkOn } from "../look";

/** Somebody, with all their tabs. */
export interface Somebody {
  key: string;
  name: string;
  color: string;
  isSelf: boolean;
  /** How many nodes and edges they have selected, in all tabs: also those that are too many to be told one by one. */
  selected: number;
}

/** Tell how many nodes and edges a member has selected; their program may tell anything. */
function selectedBy({ meta }: Member): number {
  const [listed, told]: [unknown, unknown] = [meta.selection, meta.selected];
  const count = Array.isArray(listed) ? listed.length : 0;
  return typeof told === "number" && Number.isSafeInteger(told) ? Math.max(count, told) : count;
}

/** Make people of members, each once, oneself last. */
export function peopleOf(members: readonly Member[]): Somebody[] {
  const people = new Map<string, Somebody>();
  for (const member of members) {
    const { key, name, color, isSelf } = member;
    const known = people.get(key);
    const selected = (known?.selected ?? 0) + selectedBy(member);
    people.set(key, { ...(known === undefined || isSelf ? { key, name, color, isSelf } : known), selected });
  }
  return [...people.values()].sort((a, b) => Number(a.isSelf) - Number(b.isSelf));
}

/** A person's colour, for styles. */
export function colorsOf({ color }: { color: string }): React.CSSProperties {
  return { "--by": color, "--on-by": inkOn(color) } as React.CSSProperties;
}
