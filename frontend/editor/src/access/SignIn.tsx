import "../styles/door.css";

import { LogIn } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";

import { api, type Ways } from "../api";
import { told } from "../told";
import { Mark } from "../ui/Mark";
import { ThemeButton } from "../ui/ThemeButton";
import { lookWho } from "./session";

const NO_WAY: Ways = { tokens: false, header: false, oidc: null };

let asked: Promise<Ways> | null = null;

/** Ask how one may sign in here, once. */
function askWays(): Promise<Ways> {
  asked ??= api.ways().catch(() => {
    asked = null;
    return NO_WAY;
  });
  return asked;
}

/** How one may sign in here: `null` until that is known. */
export function useWays(): Ways | null {
  const [ways, setWays] = useState<Ways | null>(null);
  useEffect(() => {
    let isCurrent = true;
    void askWays().then((found) => {
      if (isCurrent) {
        setWays(found);
      }
    });
    return () => {
      isCurrent = false;
    };
  }, []);
  return ways;
}

/** Give the address that signs somebody in, and brings them back here. */
export function signInPath({ sign_in: path }: { sign_in: string }): string {
  return `${told.base}/${path}?to=${encodeURIComponent(location.pathname + location.search)}`;
}

/** Say what to do where pages can't sign anybody in. */
function adviceOf({ tokens, header }: Ways): string {
  if (header && !tokens) {
    return "A proxy in front of this server signs people in. Open this page at the proxy's address, or reload it.";
  }
  return `The application in which these flows are used lets you in. Open them from there${header ? ", or at the address of the proxy that signs people in" : ""}.`;
}

/** A button that signs somebody in, or what to do instead. */
export function SignInWay({ label }: { label: string }) {
  const ways = useWays();
  if (ways === null) {
    return null;
  }
  return ways.oidc === null ? <p className="muted">{adviceOf(ways)}</p> : (
    <a className="button primary" href={signInPath(ways.oidc)}>
      <LogIn size={16} aria-hidden /> {label}
    </a>
  );
}

/** Stands where there would be flows, until somebody signs in. */
export function SignIn({ what }: { what: string }) {
  useEffect(() => {
    document.title = "Sign in · Helix";
  }, []);
  useLookAgain(true);
  return (
    <Door title={`Sign in to ${what}`}>
      <SignInWay label="Sign in" />
      <button className="button" onClick={() => void lookWho()}>Try again</button>
    </Door>
  );
}

/** Look who it is when the page is shown again: they may have signed in in another tab. */
export function useLookAgain(isWanted: boolean): void {
  useEffect(() => {
    if (!isWanted) {
      return;
    }
    const look = (): void => {
      if (document.visibilityState === "visible") {
        void lookWho();
      }
    };
    document.addEventListener("visibilitychange", look);
    return () => {
      document.removeEventListener("visibilitychange", look);
    };
  }, [isWanted]);
}

/** A page before somebody is let in. */
export function Door({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main className="door">
      <span className="door-theme"><ThemeButton /></span>
      <div className="panel">
        <Mark />
        <h1>{title}</h1>
        {children}
      </div>
    </main>
  );
}
