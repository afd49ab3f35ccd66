/** The answer to a join, which comes in parts where it is large. */

import type { JsonObject } from "../types.js";
import { isObject } from "./mergepatch.js";

/** Gathers the parts of one answer. */
export class Parts {
  #texts: string[] = [];

  /** Begin with another answer. */
  clear(): void {
    this.#texts = [];
  }

  add({ text }: JsonObject): void {
    this.#texts.push(String(text));
  }

  /**
   * Give the whole answer.
   *
   * @param response what came last: the answer itself, or of how many parts it is made.
   * @throws Error where parts are missing.
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
