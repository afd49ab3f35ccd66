/** The answer to a join: a large one comes in parts. */

import type { JsonObject } from "../types.js";
import { isObject } from "./mergepatch.js";

/** Gathers the parts of one answer. */
export class Parts {
  #texts: string[] = [];

  /** Start with a new answer. */
  clear(): void {
    this.#texts = [];
  }

  add({ text }: JsonObject): void {
    this.#texts.push(String(text));
  }

  /**
   * Give the whole answer.
   *
   * @param response the last message: the answer itself, or its number of parts.
   * @throws Error if parts are missing.
   */
  whole(response: unknown): JsonObject {
    const given = isObject(response) ? response : {};
    const { parts } = given;
    if (typeof parts !== "number") {
      return given;
    }
    const texts = this.#texts;
    this.clear();
    if (texts.length !== parts) {
      throw new Error(`Only ${texts.length} of ${parts} parts of the answer to a join arrived`);
    }
    return JSON.parse(texts.join("")) as JsonObject;
  }
}
