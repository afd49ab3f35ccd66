/** Who is here: a person may have several tabs, each of which is a member. */

import type { Member } from "helix-flows";

import { inkOn } from "../person";

/** Somebody, with all their tabs. */
export interface Somebody {
  key: string;
  name: string;
  color: string;
  isSelf: boolean;
}

/** Make people of members, each once, oneself last. */
export function peopleOf(members: readonly Member[]): Somebody[] {
  const people = new Map<string, Somebody>();
  for (const { key, name, color, isSelf } of members) {
    const known = people.get(key);
    people.set(key, known === undefined || isSelf ? { key, name, color, isSelf } : known);
  }
  return [...people.values()].sort((a, b) => Number(a.isSelf) - Number(b.isSelf));
}

/** A person's colour, for styles. */
export function colorsOf({ color }: { color: string }): React.CSSProperties {
  return { "--by": color, "--on-by": inkOn(color) } as React.CSSProperties;
}
