import type { FlowStatus, SyncedFlow } from "helix-flows";
import { useEffect, useSyncExternalStore } from "react";

import { useIdentity } from "./identity";
import { lookWho, useSession } from "./session";
import { useLookAgain } from "./SignIn";

/** Why the server doesn't let this page in any more. */
export type Ending = { kind: "signed-out" } | { kind: "guest"; reason: string };

/** Ends nothing. */
const never = () => () => undefined;

/** The code by which the server refuses a connection for who makes it. */
const REFUSED = "token_refused";

/** The codes of a flow that is closed to who may not see it, which is nobody without a session. */
const GONE = ["access_revoked", "flow_not_found"];

/**
 * Find out whether the server still lets this page in; `null` while it does, and if the flow is closed for another
 * reason. The page comes back when it may.
 */
export function useEnding(sync: SyncedFlow, { kind, error, failedAttempts }: FlowStatus): Ending | null {
  const { me, guest } = useIdentity();
  const isOut = useSession().kind === "out" && guest === null;
  const trouble = useSyncExternalStore(guest?.subscribe ?? never, () => guest?.trouble ?? null);
  const isJoined = kind !== "offline" && kind !== "loading" && kind !== "closed";
  const isRefused = error?.code === REFUSED;
  const isGone = kind === "closed" && GONE.includes(error?.code ?? "");
  useLookAgain(isOut);
  useEffect(() => {
    // The browser doesn't say why there is no connection, and a server that knows nobody asks for nothing.
    const isDoubtful = kind === "offline" ? isRefused || me !== null : isGone && me !== null;
    if (guest === null && (isDoubtful || (isJoined && isOut))) {
      void lookWho();
    }
  }, [guest, me, kind, isJoined, isRefused, isGone, isOut, failedAttempts]);
  useEffect(() => {
    if (guest !== null && isRefused) {
      guest.again().then(sync.retryNow, () => undefined);
    }
  }, [guest, isRefused, sync]);
  // It is let in again: there is no reason to wait.
  useEffect(() => (isOut ? () => { sync.retryNow(); } : undefined), [isOut, sync]);
  if (kind === "closed" && !(isGone && isOut)) {
    return null;
  }
  if (trouble !== null) {
    const reason = trouble.kind === "refused" ? trouble.reason : trouble.kind === "password" ? "The link asks for its password again" : "The server lets no more guests in right now";
    return { kind: "guest", reason };
  }
  return isOut ? { kind: "signed-out" } : null;
}
