import { useLayoutEffect, useRef } from "react";

import type { Actions } from "../edits/useActions";
import type { Command } from "./command";
import { isTyping, keysOf } from "./keys";

/**
 * Run commands by their keys, except while a dialog is open.
 *
 * It uses layout effects, so that no key is lost between a dialog's end and the next render.
 */
export function useShortcuts(commands: readonly Command[], actions: Actions, isActive: boolean): void {
  const now = useRef({ commands, actions });
  useLayoutEffect(() => {
    now.current = { commands, actions };
  }, [commands, actions]);

  useLayoutEffect(() => {
    if (!isActive) {
      return;
    }
    const press = (event: KeyboardEvent): void => {
      const keys = keysOf(event);
      const command = now.current.commands.find((one) => one.keys.includes(keys));
      // In a text, keys belong to the text, except those that open something.
      const isTexts = isTyping(event.target) && !["Mod+K", "Mod+F", "Mod+H", "Mod+S"].includes(keys);
      if (command === undefined || command.isNative === true || isTexts || event.defaultPrevented) {
        return;
      }
      event.preventDefault();
      event.stopPropagation();
      if (command.isEnabled) {
        command.run(keys);
      }
    };
    // React Flow moves nodes by arrow keys with any modifier, so commands come first on its elements.
    const pressOnElement = (event: KeyboardEvent): void => {
      if (event.target instanceof Element && event.target.closest(".react-flow__node, .react-flow__edge") !== null) {
        press(event);
      }
    };
    const clip = (event: ClipboardEvent): void => {
      const { clipboardData: data, type } = event;
      const isEnabled = now.current.commands.some((one) => one.id === type && one.isEnabled);
      if (!isEnabled || data === null || isTyping(event.target) || getSelection()?.isCollapsed === false) {
        return;
      }
      event.preventDefault();
      const { copy, cut, paste } = now.current.actions;
      if (type === "paste") {
        paste(data.getData("text/plain"));
      } else {
        data.setData("text/plain", type === "cut" ? cut() : copy());
      }
    };
    addEventListener("keydown", pressOnElement, true);
    addEventListener("keydown", press);
    const kinds = ["copy", "cut", "paste"] as const;
    for (const kind of kinds) {
      document.addEventListener(kind, clip);
    }
    return () => {
      removeEventListener("keydown", pressOnElement, true);
      removeEventListener("keydown", press);
      for (const kind of kinds) {
        document.removeEventListener(kind, clip);
      }
    };
  }, [isActive]);
}
