/** Actions on groups. */

import { type FlowDocument, type FlowNode, type JsonObject, own } from "helix-flows";

import { kindOfNode, labelOf } from "../../kinds";
import { groupsIn, placesIn, withInside } from "../../nesting";
import type { Choice } from "../commands/Choices";
import { counted } from "../status/announce";
import { grouped, groupsBeside, groupsFor, movedInto, movedOut, ungrouped } from "./grouping";
import type { Addition } from "./parts";

export interface Grouping {
  /** The selection contains groups. */
  areGroups: boolean;
  /** Some of the selection lies in a group. */
  areInside: boolean;
  /** Some of the selection can be moved into a group. */
  isGroupBeside: boolean;
  /** Put a group around the selection. */
  group: () => void;
  /** Remove the selected groups, and keep their contents. */
  ungroup: () => void;
  /** Delete the selection with its contents. */
  removeWhole: () => void;
  /** The groups that the selection can be moved into, the nearest first. */
  groupChoices: () => Choice[];
  /** Move the selection out of its group. */
  moveOut: () => void;
}

/** The edits that these actions use. */
interface Doing {
  /** Add something, announce it, and select it. */
  apply: (addition: Addition, said: string) => void;
  /** Change something, and announce it. Tells whether it was done. */
  edit: (patch: JsonObject, said: string) => boolean;
  /** Delete these nodes, and the selected edges. */
  remove: (gone: ReadonlySet<string>) => void;
  select: (ids: readonly string[]) => void;
}

const NONE: Pick<FlowDocument, "nodes"> = { nodes: {} };

/** Give the actions on these nodes. */
export function groupingOf(document: FlowDocument | null, ids: readonly string[], { apply, edit, remove, select }: Doing): Grouping {
  const there = document ?? NONE;
  const places = placesIn(there);
  const groups = groupsIn(there);
  const nameOf = (id: string): string => labelOf(own(there.nodes, id) as FlowNode);
  const areInside = ids.some((id) => places.get(id)?.parent !== undefined);
  return {
    areGroups: ids.some((id) => groups.has(id)),
    areInside,
    isGroupBeside: document !== null && groupsBeside(document, ids).length > 0,
    group: () => {
      const made = document === null ? null : grouped(document, ids);
      if (made !== null) {
        apply(made, `Grouped ${counted(ids.length, 0)}`);
      }
    },
    ungroup: () => {
      const made = document === null ? null : ungrouped(document, ids);
      if (made !== null && edit(made.patch, `Ungrouped ${counted(made.ids.length, 0)}`)) {
        select(made.ids);
      }
    },
    removeWhole: () => { remove(withInside(ids, places)); },
    groupChoices: () =>
      (document === null ? [] : groupsFor(document, ids)).map((id) => {
        const node = own(there.nodes, id) as FlowNode;
        const kind = kindOfNode(node);
        return {
          id, label: labelOf(node), hint: kind.name, icon: kind.icon,
          run: () => { edit(movedInto(there as FlowDocument, ids, id), `Moved ${counted(ids.length, 0)} into ${nameOf(id)}`); },
        };
      }),
    moveOut: () => {
      const patch = document === null ? null : movedOut(document, ids);
      if (patch !== null) {
        edit(patch, `Moved ${counted(ids.length, 0)} out of the group`);
      }
    },
  };
}
