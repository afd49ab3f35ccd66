import { type ReactNode, useEffect, useState, useSyncExternalStore } from "react";

import { follow, HOME } from "../address";
import { api } from "../api";
import { comeAs } from "../credentials";
import { thePerson } from "../person";
import { Guest } from "./guest";
import { type Identity, IdentityProvider, NOBODY } from "./identity";
import { Password } from "./Password";
import { knownSoon, personIn, sessionNow, useSession } from "./session";
import { Door, SignIn, signInPath, useWays } from "./SignIn";

/** How somebody comes to a flow: as whom the server knows, or as a guest; `null` for nobody. */
type Entry = Identity | null;

/** Find out how somebody may come in. What can't be found out without a server is tried by the flow itself. */
async function entryOf(flowId: string): Promise<Entry> {
  const session = sessionNow().kind === "known" ? sessionNow() : await knownSoon();
  const me = personIn(session);
  const visiting = Guest.of(flowId, me?.name || thePerson().name);
  if (session.kind === "known" && me === null) {
    // Everybody may do everything, so a link gives nothing.
    visiting?.leave();
    return NOBODY;
  }
  if (visiting !== null) {
    if (me !== null && (await api.maySee(flowId).catch(() => false))) {
      visiting.leave();
      return { me, guest: null };
    }
    await visiting.token().catch(() => undefined);
    return { me, guest: visiting };
  }
  if (session.kind !== "out") {
    return { me, guest: null };
  }
  const guest = new Guest(flowId, thePerson().name);
  return guest.token().then(
    () => ({ me: null, guest }),
    () => (guest.trouble?.kind === "wait" ? { me: null, guest } : null),
  );
}

interface Props {
  flowId: string;
  /** The flow. It stays, once it is shown. */
  children: ReactNode;
}

/** Lets people into a flow: as themselves, or as guests; shows others how to sign in. */
export function FlowGate({ flowId, children }: Props) {
  const [entry, setEntry] = useState<Entry | undefined>();
  const [turn, setTurn] = useState(0);
  const isOut = useSession().kind === "out";
  useEffect(() => {
    let isCurrent = true;
    let end = (): void => undefined;
    void entryOf(flowId).then((found) => {
      if (isCurrent) {
        end = found?.guest == null ? end : comeAs(found.guest);
        setEntry(found);
      }
    });
    return () => {
      isCurrent = false;
      end();
    };
  }, [flowId, turn]);
  if (entry === null && !isOut) {
    // Somebody has signed in, perhaps in another tab.
    setEntry(undefined);
    setTurn(turn + 1);
  }
  if (entry === undefined) {
    return <p className="hidden" role="status">Loading</p>;
  }
  if (entry === null) {
    return <SignIn what="open this flow" />;
  }
  return (
    <IdentityProvider value={entry}>
      {entry.guest === null ? children : <GuestGate guest={entry.guest} isKnown={entry.me !== null}>{children}</GuestGate>}
    </IdentityProvider>
  );
}

/** Lets a guest in once there is a token, and asks for a password before. */
function GuestGate({ guest, isKnown, children }: { guest: Guest; isKnown: boolean; children: ReactNode }) {
  const trouble = useSyncExternalStore(guest.subscribe, () => guest.trouble);
  const [wasIn, setWasIn] = useState(trouble === null);
  if (trouble === null && !wasIn) {
    setWasIn(true);
  }
  if (wasIn) {
    return children;
  }
  if (trouble === null || trouble.kind === "refused") {
    return <NoEntry reason={trouble?.reason ?? ""} isKnown={isKnown} />;
  }
  return <Password guest={guest} trouble={trouble} />;
}

/** Says that a link lets nobody in. */
function NoEntry({ reason, isKnown }: { reason: string; isKnown: boolean }) {
  const ways = useWays();
  useEffect(() => {
    document.title = "Helix";
  }, []);
  return (
    <Door title="This link doesn't open the flow">
      <p className="muted">{reason.replace(/\.$/, "")}. It may have been revoked, have expired, or lack a part. Ask who sent it for a new one.</p>
      {isKnown && <a className="button" href={HOME} onClick={follow}>All flows</a>}
      {!isKnown && ways?.oidc != null && <a className="button" href={signInPath(ways.oidc)}>Sign in instead</a>}
    </Door>
  );
}
