import { useLayoutEffect, useRef } from "react";

import type { Command } from "./commands";
import { isTyping, keysOf } from "./keys";

/**
 * Carry out commands by their keys, except while a dialog is open.
 *
 * The effects are of the layout: no key falls between a dialog's end and what follows.
 */
export function useShortcuts(commands: readonly Command[], isActive: boolean): void {
  const now = useRef(commands);
  useLayoutEffect(() => {
    now.current = commands;
  }, [commands]);

  useLayoutEffect(() => {
    if (!isActive) {
      return;
    }
    const press = (event: KeyboardEvent): void => {
      const keys = keysOf(event);
      const command = now.current.find((one) => one.keys.includes(keys));
      // In a text, keys are the text's, but for those that open something.
      const isTexts = isTyping(event.target) && !["Mod+K", "Mod+F", "Mod+H", "Mod+S"].includes(keys);
      if (command === undefined || command.isNative === true || isTexts || event.defaultPrevented) {
        return;
      }
      event.preventDefault();
      if (command.isEnabled) {
        command.run();
      }
    };
    const byName = (id: string): Command | undefined => now.current.find((one) => one.id === id && one.isEnabled);
    const clip = (event: ClipboardEvent): void => {
      if (isTyping(event.target) || getSelection()?.isCollapsed === false) {
        return;
      }
      byName(event.type)?.run();
    };
    addEventListener("keydown", press);
    const kinds = ["copy", "cut", "paste"] as const;
    for (const kind of kinds) {
      document.addEventListener(kind, clip);
    }
    return () => {
      removeEventListener("keydown", press);
      for (const kind of kinds) {
        document.removeEventListener(kind, clip);
      }
    };
  }, [isActive]);
}
