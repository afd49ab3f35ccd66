/** Who this page's user is, as the server sees it. */

import { useSyncExternalStore } from "react";

import { api, type Me, RestError, refused } from "../api";

/** Milliseconds for which a page waits to learn who its user is, before it shows what it has. */
const PATIENCE = 3_000;

/**
 * - `unknown`: not asked yet, or there was no answer.
 * - `known`: `me` says who it is; with an empty id the server doesn't ask.
 * - `out`: the server asks who it is, and nothing tells.
 */
export type Session = { kind: "unknown" } | { kind: "known"; me: Me } | { kind: "out" };

let session: Session = { kind: "unknown" };
let looking: Promise<Session> | null = null;
const listeners = new Set<() => void>();

function set(next: Session): Session {
  session = next;
  for (const listener of [...listeners]) {
    listener();
  }
  return next;
}

refused.add(() => {
  if (session.kind !== "out") {
    set({ kind: "out" });
  }
});

/** Ask the server who this is. Without an answer it stays as it was. */
export function lookWho(): Promise<Session> {
  looking ??= api.me().then(
    (me) => set({ kind: "known", me }),
    (error: unknown) => (error instanceof RestError && error.status === 401 ? set({ kind: "out" }) : session),
  ).finally(() => { looking = null; });
  return looking;
}

/** Ask, but don't wait for long. */
export function knownSoon(): Promise<Session> {
  return Promise.race([lookWho(), new Promise<Session>((resolve) => { setTimeout(() => { resolve(session); }, PATIENCE); })]);
}

/** Who it is now. */
export function sessionNow(): Session {
  return session;
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Who it is; the component renders again when that changes. */
export function useSession(): Session {
  return useSyncExternalStore(subscribe, sessionNow);
}

/** Give whom the server knows; `null` where it asks nobody. */
export function personIn(session: Session): Me | null {
  return session.kind === "known" && session.me.id !== "" ? session.me : null;
}
