/** What a command is, for all that list commands or offer them. */

import type { Choice } from "./Choices";

/** Under what heading the sheet of keys has it. */
export type Group = "Edit" | "Add" | "Arrange" | "Navigate" | "View" | "Share";

export interface Command extends Choice {
  group: Group;
  /** As `keysOf` writes them; the first is shown. */
  keys: readonly string[];
  isEnabled: boolean;
  /** It changes nothing by itself when its keys are pressed: the browser's own event does it. */
  isNative?: boolean;
  /** @param keys those that were pressed, where it was by keys. */
  run: (keys?: string) => void;
}

/** What a command may open over the editor. */
export type Sheet = "arrange" | "commands" | "find" | "groups" | "keys" | "name" | "templates" | null;
