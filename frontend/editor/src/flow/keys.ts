/** Keys, as commands name them: `Mod+Shift+Z`. `Mod` is Ctrl, and Command on a Mac. */

const isMac = navigator.platform.startsWith("Mac");

/** Tell what keys an event is. */
export function keysOf(event: KeyboardEvent): string {
  const key = event.key.length === 1 ? event.key.toUpperCase() : event.key;
  const parts = [
    (isMac ? event.metaKey : event.ctrlKey) ? "Mod" : "",
    event.altKey ? "Alt" : "",
    // What needs Shift to be typed is named by itself.
    event.shiftKey && (event.key.length > 1 || /[a-z]/i.test(event.key)) ? "Shift" : "",
    key,
  ];
  return parts.filter(Boolean).join("+");
}

const WORDS: Record<string, string> = { Mod: isMac ? "⌘" : "Ctrl", ArrowLeft: "Left", ArrowRight: "Right", ArrowUp: "Up", ArrowDown: "Down", plus: "+", Escape: "Esc", Delete: "Del" };

/** Write keys for people. */
export function keyWords(keys: string): string[] {
  return keys.replace("++", "+plus").split("+").map((key) => WORDS[key] ?? key);
}

/** Tell whether keys go into a text. */
export function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName));
}
