/** The commands for groups. */

import { FolderInput, FolderOutput, Group, Trash, Ungroup } from "lucide-react";

import type { Actions } from "../edits/useActions";
import type { Command, Sheet } from "./command";

interface Surroundings {
  isEditable: boolean;
  show: (sheet: Sheet) => void;
}

/** List the commands for groups in their current state. */
export function groupCommandsOf(actions: Actions, { isEditable, show }: Surroundings): Command[] {
  const { areGroups, areInside, isGroupBeside } = actions;
  const areNodes = isEditable && actions.selectedNodes > 0;
  const group = "Edit" as const;
  const moveInto = (): void => {
    const [only, ...others] = actions.groupChoices();
    if (others.length === 0) {
      only?.run();
    } else {
      show("groups");
    }
  };
  return [
    { group, id: "delete-whole", label: "Delete with its contents", icon: Trash, keys: ["Shift+Delete", "Shift+Backspace"], isEnabled: areNodes && areGroups, run: actions.removeWhole },
    { group, id: "group", label: "Group the selected nodes", icon: Group, keys: ["Mod+G"], isEnabled: areNodes, run: actions.group },
    { group, id: "ungroup", label: "Ungroup", icon: Ungroup, keys: ["Mod+Shift+G"], isEnabled: areNodes && areGroups, run: actions.ungroup },
    { group, id: "into-group", label: "Move into a group", icon: FolderInput, keys: ["Alt+G"], isEnabled: areNodes && isGroupBeside, run: moveInto },
    { group, id: "out-of-group", label: "Move out of the group", icon: FolderOutput, keys: ["Alt+Shift+G"], isEnabled: areNodes && areInside, run: actions.moveOut },
  ];
}
