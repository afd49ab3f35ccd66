import { Link2, Lock, Trash2 } from "lucide-react";
import { useEffect, useRef, useState } from "react";

import { LONGEST_PASSWORD } from "../../access/guest";
import type { NewLink, Role, ShareLink } from "../../api";
import { until } from "../../time";
import { told } from "../../told";
import { Question } from "../../ui/Question";
import { copyText } from "./copying";
import { roleName, ROLES_FOR_MANY } from "./roles";
import { RoleSelect } from "./RoleSelect";
import type { AccessCalls } from "./useAccess";

const DAY = 86_400;

/** How long links may hold. */
const SPANS: readonly { label: string; seconds: number | null }[] = [
  { label: "1 day", seconds: DAY },
  { label: "7 days", seconds: 7 * DAY },
  { label: "30 days", seconds: 30 * DAY },
  { label: "For ever", seconds: null },
];

type Props = Pick<AccessCalls, "links" | "busy" | "createLink" | "revokeLink">;

/** The links by which guests come in. */
export function Links({ links, busy, createLink, revokeLink }: Props) {
  const [made, setMade] = useState<NewLink | null>(null);
  const [revoked, setRevoked] = useState<ShareLink | null>(null);
  const list = useRef<HTMLUListElement>(null);
  const revoke = async ({ id }: ShareLink): Promise<void> => {
    if (await revokeLink(id)) {
      if (made?.id === id) {
        setMade(null);
      }
      list.current?.focus();
    }
  };
  return (
    <>
      {links !== null && (
        <ul ref={list} tabIndex={-1} className="grants" aria-label="Links" aria-busy={busy === "links"}>
          {links.map((link) => (
            <li key={link.id} className="grant">
              <span className="avatar plain" aria-hidden><Link2 size={14} /></span>
              <span className="who">
                <b>{roleName(link.role)}</b>
                <small>{describe(link)}</small>
              </span>
              {link.has_password && <span className="mark" title="Has a password"><Lock size={14} aria-hidden /><span className="hidden">Has a password</span></span>}
              <button className="icon-button" aria-label={`Revoke the link: ${roleName(link.role)}, ${describe(link)}`} title="Revoke" onClick={() => { setRevoked(link); }}>
                <Trash2 size={16} />
              </button>
            </li>
          ))}
        </ul>
      )}
      {made !== null && <Made key={made.id} link={made} />}
      <Creation onCreate={async (link) => {
        const next = await createLink(link);
        if (next !== null) {
          setMade(next);
        }
        return next !== null;
      }} />
      {revoked !== null && (
        <Question
          title="Revoke this link?"
          text="Who has come by it loses access at once. A new link has another address."
          answer="Revoke"
          onAnswer={() => void revoke(revoked)}
          onClose={() => { setRevoked(null); }}
        />
      )}
    </>
  );
}

/** Say until when a link holds, and who made it. */
function describe({ expires_at: end, created_by: by }: ShareLink): string {
  const holds = end === null ? "Holds for ever" : end * 1_000 <= Date.now() ? "Expired" : `Expires ${until(end)}`;
  return by === "" ? holds : `${holds} · by ${by}`;
}

/** The address of a new link, which isn't shown again. */
function Made({ link: { path } }: { link: NewLink }) {
  const [isCopied, setCopied] = useState(false);
  const address = location.origin + told.base + path;
  const place = useRef<HTMLDivElement>(null);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => { place.current?.scrollIntoView({ block: "nearest" }); }, [address]);
  return (
    <div ref={place} className="made">
      <p role="status">{isCopied ? "Copied." : "Copy the address now. It isn't shown again."}</p>
      <div className="row">
        <div className="field">
          <input ref={field} readOnly aria-label="Address of the new link" value={address} onFocus={({ target }) => { target.select(); }} />
        </div>
        <button
          className="button primary"
          onClick={() => {
            void copyText(address).then((isDone) => {
              setCopied(isDone);
              if (!isDone) {
                field.current?.focus();
              }
            });
          }}
        >
          Copy
        </button>
      </div>
    </div>
  );
}

interface CreationProps {
  onCreate: (link: { role: Role; expires_in?: number; password?: string }) => Promise<boolean>;
}

/** Makes a link. */
function Creation({ onCreate }: CreationProps) {
  const [role, setRole] = useState<Role>("viewer");
  const [span, setSpan] = useState(1);
  const [password, setPassword] = useState("");
  const seconds = SPANS[span]?.seconds ?? null;
  const create = async (): Promise<void> => {
    const link = { role, ...(seconds === null ? {} : { expires_in: seconds }), ...(password === "" ? {} : { password }) };
    if (await onCreate(link)) {
      setPassword("");
    }
  };
  return (
    <form
      className="creation"
      onSubmit={(event) => {
        event.preventDefault();
        void create();
      }}
    >
      <div className="field"><RoleSelect label="Role of who comes by the link" role={role} roles={ROLES_FOR_MANY} onRole={setRole} /></div>
      <div className="field">
        <select aria-label="How long the link holds" value={span} onChange={({ target }) => { setSpan(Number(target.value)); }}>
          {SPANS.map(({ label }, n) => <option key={label} value={n}>{label}</option>)}
        </select>
      </div>
      <div className="field password">
        <input
          type="password"
          aria-label="Password of the link, if it is to have one"
          placeholder="Password (optional)"
          autoComplete="new-password"
          maxLength={LONGEST_PASSWORD}
          value={password}
          onChange={({ target }) => { setPassword(target.value); }}
        />
      </div>
      <button className="button">Create a link</button>
    </form>
  );
}
