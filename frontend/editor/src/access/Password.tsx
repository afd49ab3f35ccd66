import { useEffect, useRef, useState } from "react";

import type { Guest, Trouble } from "./guest";
import { LONGEST_PASSWORD } from "./guest";
import { Door } from "./SignIn";

/** Give the whole seconds until a time, in milliseconds since 1970; the component renders again as they pass. */
function useSecondsUntil(until: number): number {
  const [now, setNow] = useState(Date.now);
  const isOver = until <= now;
  useEffect(() => {
    if (!isOver) {
      const clock = setInterval(() => { setNow(Date.now()); }, 500);
      return () => { clearInterval(clock); };
    }
    return undefined;
  }, [isOver]);
  return Math.max(0, Math.ceil((until - now) / 1_000));
}

/** Write a number of seconds. */
function lasting(seconds: number): string {
  return seconds < 100 ? `${seconds} second${seconds === 1 ? "" : "s"}` : `${Math.ceil(seconds / 60)} minutes`;
}

/** Asks for a link's password, or says how long to wait. */
export function Password({ guest, trouble }: { guest: Guest; trouble: Exclude<Trouble, { kind: "refused" }> }) {
  const [password, setPassword] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const field = useRef<HTMLInputElement>(null);
  const left = useSecondsUntil(trouble.kind === "wait" ? trouble.until : 0);
  const needsPassword = trouble.kind === "password" || trouble.needsPassword;
  const wrong = trouble.kind === "password" && trouble.wasWrong ? "That isn't the password." : null;
  useEffect(() => {
    document.title = "Helix";
    field.current?.focus();
  }, []);
  const enter = async (): Promise<void> => {
    setBusy(true);
    setFault(null);
    try {
      await (needsPassword ? guest.tryPassword(password) : guest.again());
    } catch (error) {
      setFault(guest.trouble === trouble && error instanceof Error ? error.message : null);
      field.current?.select();
    }
    setBusy(false);
  };
  const said = left > 0 ? `Too many attempts. Try again in ${lasting(left)}.` : (fault ?? wrong);
  return (
    <Door title={needsPassword ? "This link has a password" : "Too many guests at once"}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!isBusy && left === 0) {
            void enter();
          }
        }}
      >
        {needsPassword && (
          <label className="field">
            <span>Password</span>
            <input
              ref={field}
              type="password"
              autoComplete="off"
              maxLength={LONGEST_PASSWORD}
              value={password}
              aria-invalid={wrong !== null}
              aria-describedby="password-fault"
              onChange={({ target }) => { setPassword(target.value); }}
            />
          </label>
        )}
        <p id="password-fault" className="fault" role="alert">{said}</p>
        <button className="button primary" disabled={left > 0 || isBusy || (needsPassword && password === "")}>
          {needsPassword ? "Open the flow" : "Try again"}
        </button>
      </form>
    </Door>
  );
}
