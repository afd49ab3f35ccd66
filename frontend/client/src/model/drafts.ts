/** A text that somebody is writing in, while others write in it as well. */

import { mergeTexts } from "./texts.js";

/** What one sees of a text, and what it would be without what one has written oneself. */
export class TextDraft {
  #seen: string;
  #without: string;

  /** @param shown what it is when one begins. */
  constructor(shown: string) {
    this.#seen = shown;
    this.#without = shown;
  }

  /** What one sees. */
  get seen(): string {
    return this.#seen;
  }

  /** What it would be without what one has written since one began. */
  get without(): string {
    return this.#without;
  }

  /**
   * Take what one has made of what one saw.
   *
   * @param shown what the text is by now, which one may not see yet: as long as an input method composes.
   * @returns what it is to be.
   */
  write(text: string, shown: string): string {
    const next = mergeTexts(this.#seen, shown, text).text;
    this.#seen = text;
    return next;
  }

  /** See what the text is now: what is new in it others have written. */
  follow(shown: string): void {
    const { text, isConflict } = mergeTexts(this.#seen, shown, this.#without);
    // What others have changed of one's own words isn't one's own any more.
    this.#without = isConflict ? shown : text;
    this.#seen = shown;
  }
}
