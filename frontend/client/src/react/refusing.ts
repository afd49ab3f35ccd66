/** Reports the parts of React Flow's changes that no document can hold. */

import type { Tellable, Untold } from "../model/telling.js";
import type { JsonObject, SyncedFlow } from "../types.js";

/** Collects what can't be sent of one call by React Flow, which has no caller to throw an error to. */
export class Refusing {
  readonly #untold: Untold[] = [];

  /** Give the part of an element that can be sent. */
  take({ told, untold }: Tellable): JsonObject {
    for (const one of untold) {
      this.#untold.push(one);
    }
    return told;
  }

  /** Report the rest, as one refusal. */
  tell(sync: SyncedFlow): void {
    const [first, ...others] = this.#untold.splice(0);
    if (first !== undefined) {
      const more = others.length === 0 ? "" : ` (and ${others.length} more)`;
      const reason = `${first.path}: ${first.problem}${more}`;
      sync.refuse({ reason, code: "invalid_patch" }, {});
    }
  }
}
