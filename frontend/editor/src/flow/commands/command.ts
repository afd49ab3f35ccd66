/** The type of a command, for everything that lists or offers commands. */

import type { Choice } from "./Choices";

/** Its heading in the list of keyboard shortcuts. */
export type Group = "Edit" | "Add" | "Arrange" | "Navigate" | "View" | "Share";

export interface Command extends Choice {
  group: Group;
  /** As `keysOf` writes them; the first is shown. */
  keys: readonly string[];
  isEnabled: boolean;
  /** Its keys do nothing here: the browser's own event runs it. */
  isNative?: boolean;
  /** @param keys the pressed keys, if it was run by keys. */
  run: (keys?: string) => void;
}

/** The dialogs that commands may open. */
export type Sheet = "arrange" | "commands" | "find" | "groups" | "keys" | "name" | "share" | "templates" | null;
