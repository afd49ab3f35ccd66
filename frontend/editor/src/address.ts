/** The editor's addresses: `/`, and `/flow/<id>`. */

import { type MouseEvent, useSyncExternalStore } from "react";

const FLOW = "/flow/";

/** Give the flow id in a path; `null` for home. */
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

/** Go to an address of the editor without reloading the page. */
export function go(path: string): void {
  history.pushState(null, "", path);
  dispatchEvent(new PopStateEvent("popstate"));
}

/** For a link's `onClick`: like `go`, unless the user wants another tab. */
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

/** The path of the page; the component renders again when it changes. */
export function useAddress(): string {
  return useSyncExternalStore(subscribe, () => location.pathname);
}
