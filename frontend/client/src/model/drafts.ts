/** A text that its user and others edit at the same time. */

import { mergeTexts } from "./texts.js";

/** The text that the user sees, and the same without the user's own edits. */
export class TextDraft {
  #seen: string;
  #without: string;

  /** @param shown the text at the start. */
  constructor(shown: string) {
    this.#seen = shown;
    this.#without = shown;
  }

  /** What the user sees. */
  get seen(): string {
    return this.#seen;
  }

  /** The text without the user's edits since the start. */
  get without(): string {
    return this.#without;
  }

  /**
   * Take the user's edit of what they saw.
   *
   * @param shown the current text. While an input method composes, the user may not see it yet.
   * @returns the new text.
   */
  write(text: string, shown: string): string {
    const next = mergeTexts(this.#seen, shown, text).text;
    this.#seen = text;
    return next;
  }

  /** Take the current text: what is new in it comes from others. */
  follow(shown: string): void {
    const { text, isConflict } = mergeTexts(this.#seen, shown, this.#without);
    // The user's words that others have changed aren't the user's own any more.
    this.#without = isConflict ? shown : text;
    this.#seen = shown;
  }
}
