/** Who is here: a person may have several tabs, each of which is a member. */

import type { Rect } from "@xyflow/react";
import type { Member } from "helix-flows";

import { inkOn } from "../../look";

/** Somebody, with all their tabs. */
export interface Somebody {
  key: string;
  name: string;
  color: string;
  isSelf: boolean;
  /** How many nodes and edges they have selected, in all tabs: also those that are too many to be told one by one. */
  selected: number;
}

/** Tell how many nodes and edges a member has selected. */
function selectedBy({ meta: { selection = [], selected = 0 } }: Member): number {
  return Math.max(selection.length, selected);
}

/** How far from 0 and how large what somebody sees may be: beyond that no view can be made of it. */
const FAR = 2 ** 53;

/** Read what part of the flow somebody says that they see; their program may say anything. */
export function viewOf({ meta }: Member): Rect | null {
  const given = meta["view"] as Partial<Record<keyof Rect, unknown>> | null | undefined;
  const { x, y, width, height } = given ?? {};
  const isNear = [x, y, width, height].every((one) => typeof one === "number" && Math.abs(one) <= FAR);
  const view = { x, y, width, height } as Rect;
  return isNear && view.width >= 1 && view.height >= 1 ? view : null;
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
