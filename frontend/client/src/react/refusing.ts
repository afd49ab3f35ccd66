/** How it is told what of React Flow's changes can't be in a document. */

import type { Tellable, Untold } from "../model/telling.js";
import type { JsonObject, SyncedFlow } from "../types.js";

/** Collects what can't be told of one call of React Flow, which has nobody to throw an error to. */
export class Refusing {
  readonly #untold: Untold[] = [];

  /** Give what of an element can be told. */
  take({ told, untold }: Tellable): JsonObject {
    this.#untold.push(...untold);
    return told;
  }

  /** Tell of the rest, once for all of it. */
  tell(sync: SyncedFlow): void {
    const [first, ...others] = this.#untold.splice(0);
    if (first !== undefined) {
      const more = others.length === 0 ? "" : ` (and ${others.length} more)`;
      const reason = `${first.path}: ${first.problem}${more}`;
      sync.refuse({ reason, code: "invalid_patch" }, {});
    }
  }
}
