/** People in the flow: one person may have several tabs, and each tab is a member. */

import type { Rect } from "@xyflow/react";
import type { Member } from "helix-flows";

/** Somebody, with all their tabs. */
export interface Somebody {
  key: string;
  name: string;
  color: string;
  isSelf: boolean;
  /** They have come by a link, or to a flow that is for anyone with its address. */
  isGuest: boolean;
  /** How many nodes and edges they have selected in all tabs, including those that are too many to be listed. */
  selected: number;
}

/** Count a member's selected nodes and edges. */
function selectedBy({ meta: { selection = [], selected = 0 } }: Member): number {
  return Math.max(selection.length, selected);
}

/** The limit for a view's coordinates and size: beyond it, no view is possible. */
const FAR = 2 ** 53;

/** Read the part of the flow that somebody sees; their program may send anything. */
export function viewOf({ meta }: Member): Rect | null {
  const given = meta["view"] as Partial<Record<keyof Rect, unknown>> | null | undefined;
  const { x, y, width, height } = given ?? {};
  const isNear = [x, y, width, height].every((one) => typeof one === "number" && Math.abs(one) <= FAR);
  const view = { x, y, width, height } as Rect;
  return isNear && view.width >= 1 && view.height >= 1 ? view : null;
}

/** Combine members into people, oneself last. */
export function peopleOf(members: readonly Member[]): Somebody[] {
  const people = new Map<string, Somebody>();
  for (const member of members) {
    const { key, name, color, isSelf, meta } = member;
    const known = people.get(key);
    const selected = (known?.selected ?? 0) + selectedBy(member);
    people.set(key, { ...(known === undefined || isSelf ? { key, name, color, isSelf, isGuest: meta["guest"] === true } : known), selected });
  }
  return [...people.values()].sort((a, b) => Number(a.isSelf) - Number(b.isSelf));
}

/** The most elements that are shown as selected by others, and the most people at one of them. */
export const MOST_SELECTED = 500;
export const MOST_SELECTING = 8;

/** List who has selected what, of the elements that exist. */
export function selectingIn(members: readonly Member[], exists: (id: string) => boolean): ReadonlyMap<string, readonly Member[]> {
  const selecting = new Map<string, Member[]>();
  for (const member of members) {
    for (const id of new Set(member.meta.selection)) {
      const people = selecting.get(id);
      if (people !== undefined) {
        if (people.length < MOST_SELECTING) {
          people.push(member);
        }
      } else if (selecting.size < MOST_SELECTED && exists(id)) {
        selecting.set(id, [member]);
      }
    }
  }
  return selecting;
}
