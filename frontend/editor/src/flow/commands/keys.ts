/** Key names for commands: `Mod+Shift+Z`. `Mod` is Ctrl, or Command on a Mac. */

import { own } from "helix-flows";

const isMac = navigator.platform.startsWith("Mac");

const ASCII = /^[\x20-\x7e]+$/;
const BRACKETS: Readonly<Record<string, string>> = { BracketLeft: "[", BracketRight: "]" };
const LETTER_OR_DIGIT = /^[a-z\d]$/i;

/**
 * Name a key by what it types, or by its place if commands don't use that letter: for example with Alt on a Mac,
 * which types `˙`, or on a Greek or Russian keyboard.
 */
function keyOf({ key, code, altKey }: KeyboardEvent): string {
  const isKnown = (altKey ? LETTER_OR_DIGIT : ASCII).test(key);
  const placed = isKnown ? undefined : (own(BRACKETS, code) ?? /^(?:Key|Digit)(.)$/.exec(code)?.[1]);
  return placed ?? (key.length === 1 ? key.toUpperCase() : key);
}

/** Name the keys of an event. */
export function keysOf(event: KeyboardEvent): string {
  const key = keyOf(event);
  const parts = [
    (isMac ? event.metaKey : event.ctrlKey) ? "Mod" : "",
    event.altKey ? "Alt" : "",
    // A character that needs Shift is named without it.
    event.shiftKey && (key.length > 1 || /[A-Z]/.test(key)) ? "Shift" : "",
    key,
  ];
  return parts.filter(Boolean).join("+");
}

const WORDS: Record<string, string> = { Mod: isMac ? "⌘" : "Ctrl", ArrowLeft: "Left", ArrowRight: "Right", ArrowUp: "Up", ArrowDown: "Down", plus: "+", Escape: "Esc", Delete: "Del" };

/** Write keys for people. */
export function keyWords(keys: string): string[] {
  return keys.replace("++", "+plus").split("+").map((key) => own(WORDS, key) ?? key);
}

/** Tell whether a key belongs to an input method, which chooses a word with it. */
export function isInputMethods(event: React.KeyboardEvent): boolean {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- Safari says by the code alone that Enter was still the method's.
  return event.nativeEvent.isComposing || event.keyCode === 229;
}

/** Tell whether keys are typed into a text. */
export function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName));
}
