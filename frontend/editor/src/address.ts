/** Where one is: `/`, or `/flow/<id>`. */

import { type MouseEvent, useSyncExternalStore } from "react";

const FLOW = "/flow/";

/** Give the id that a path is the address of; `null` for home. */
export function flowIdOf(path: string): string | null {
  if (!path.startsWith(FLOW) || path === FLOW) {
    return null;
  }
  try {
    return decodeURIComponent(path.slice(FLOW.length));
  } catch {
    return null;
  }
}

/** Give the address of a flow. */
export function flowPath(id: string): string {
  return FLOW + encodeURIComponent(id);
}

/** Go to an address of the editor, without loading the page anew. */
export function go(path: string): void {
  history.pushState(null, "", path);
  dispatchEvent(new PopStateEvent("popstate"));
}

/** For a link's `onClick`: as `go`, unless another tab is wanted. */
export function follow(event: MouseEvent<HTMLAnchorElement>): void {
  if (event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey) {
    event.preventDefault();
    go(event.currentTarget.pathname);
  }
}

function subscribe(listener: () => void): () => void {
  addEventListener("popstate", listener);
  return () => {
    removeEventListener("popstate", listener);
  };
}

/** The path of the page, rendered anew when it is another. */
export function useAddress(): string {
  return useSyncExternalStore(subscribe, () => location.pathname);
}
