/** Drags and resizes that are cancelled before they end. */

import type { NodeChange } from "@xyflow/react";

/**
 * Filters out React Flow's further changes of a cancelled gesture, until the button is released.
 */
export class GivenUp {
  readonly #ids = new Set<string>();

  /** Cancel the gesture on these nodes. */
  add(ids: Iterable<string>): void {
    for (const id of ids) {
      this.#ids.add(id);
    }
  }

  /** Another gesture begins. */
  clear(): void {
    this.#ids.clear();
  }

  left<C extends NodeChange>(changes: C[]): C[] {
    const isOfIt = changes.filter((change) => this.#has(change));
    if (isOfIt.length === 0) {
      return changes;
    }
    if (isOfIt.some(isEnd)) {
      this.clear();
    }
    return changes.filter((change) => !isOfGestures(change));
  }

  #has(change: NodeChange): boolean {
    const isFlagged =
      (change.type === "position" && change.dragging !== undefined) ||
      (change.type === "dimensions" && change.resizing !== undefined);
    return isFlagged && this.#ids.has(change.id);
  }
}

function isEnd(change: NodeChange): boolean {
  return change.type === "position"
    ? change.dragging === false
    : change.type === "dimensions" && change.resizing === false;
}

function isOfGestures(change: NodeChange): boolean {
  const isSizing = change.type === "dimensions" && (change.resizing ?? change.setAttributes) !== undefined;
  return change.type === "position" || isSizing;
}

/**
 * Listen for what cancels a drag: Escape, a pointer that the browser cancels, a page that is hidden,
 * frozen or left.
 *
 * @param begin is called when a button or a finger goes down: a new gesture begins.
 * @returns a function that ends this.
 */
export function listenForCancels(cancel: () => void, begin: () => void): () => void {
  const ending = new AbortController();
  const options = { capture: true, signal: ending.signal };
  const press = ({ key }: KeyboardEvent): void => {
    if (key === "Escape") {
      cancel();
    }
  };
  const hide = (): void => {
    if (document.visibilityState === "hidden") {
      cancel();
    }
  };
  addEventListener("keydown", press, options);
  addEventListener("pointercancel", cancel, options);
  addEventListener("pagehide", cancel, options);
  document.addEventListener("visibilitychange", hide, options);
  document.addEventListener("freeze", cancel, options);
  addEventListener("pointerdown", begin, options);
  return () => {
    ending.abort();
  };
}
