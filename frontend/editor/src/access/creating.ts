/** Whether this page's user may make flows: what the server says of them, and what it has refused. */

import { useSyncExternalStore } from "react";

import { RestError } from "../api";
import { useIdentity } from "./identity";

let isRefused = false;
const listeners = new Set<() => void>();

/** Make a flow, and remember if that is forbidden. */
export function creating<T>(made: Promise<T>): Promise<T> {
  return made.catch((error: unknown) => {
    if (error instanceof RestError && error.code === "forbidden") {
      isRefused = true;
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
  const { me } = useIdentity();
  const refused = useSyncExternalStore(subscribe, () => isRefused);
  return !refused && (me?.may_create ?? true);
}
