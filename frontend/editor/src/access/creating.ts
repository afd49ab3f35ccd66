/** Whether this page's user may make flows. The server tells only when somebody tries. */

import { useSyncExternalStore } from "react";

import { RestError } from "../api";

let mayCreate = true;
const listeners = new Set<() => void>();

/** Make a flow, and remember if that is forbidden. */
export function creating<T>(made: Promise<T>): Promise<T> {
  return made.catch((error: unknown) => {
    if (error instanceof RestError && error.code === "forbidden") {
      mayCreate = false;
      for (const listener of [...listeners]) {
        listener();
      }
    }
    throw error;
  });
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Whether one may make flows, as far as is known. */
export function useMayCreate(): boolean {
  return useSyncExternalStore(subscribe, () => mayCreate);
}
