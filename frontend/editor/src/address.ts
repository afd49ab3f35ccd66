/** The editor's addresses: home, and `/flow/<id>`; both below the server's base path. */

import { type MouseEvent, useSyncExternalStore } from "react";

import { told } from "./told";

const FLOW = "/flow/";

const EMBED = "?embed=1";

/** Whether another product shows this page, and has the bars itself. */
export const isEmbedded = new URLSearchParams(location.search).get("embed") === "1";

/** The address of home. */
export const HOME = `${told.base}/`;

/** Remove the base path from a path, if it begins with it. */
export function pathBelow(path: string, base = told.base): string {
  return path === base ? "/" : path.startsWith(`${base}/`) ? path.slice(base.length) : path;
}

/** Give the flow id in a path, without the base path; `null` for home. */
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
  return told.base + FLOW + encodeURIComponent(id);
}

/** Go to an address of the editor without reloading the page. */
export function go(path: string): void {
  history.pushState(null, "", isEmbedded ? path + EMBED : path);
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

/** The path of the page without the base path; the component renders again when it changes. */
export function useAddress(): string {
  return useSyncExternalStore(subscribe, () => pathBelow(location.pathname));
}
