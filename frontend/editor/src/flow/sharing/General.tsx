import type { JsonObject } from "helix-flows";

import type { GeneralAccess } from "../../api";
import { roleName, ROLES_FOR_MANY } from "./roles";
import { RoleSelect } from "./RoleSelect";

const CHOICES: readonly { who: GeneralAccess["who"]; label: string; about: string }[] = [
  { who: "restricted", label: "Restricted", about: "Only those in the list above, and who comes by a link below." },
  { who: "signed-in", label: "Everyone who is signed in", about: "Whoever this server knows finds the flow in their list." },
  { who: "link", label: "Anyone with the address", about: "Whoever knows the flow's address may open it, without signing in." },
];

interface Props {
  general: GeneralAccess;
  isBusy: boolean;
  onChange: (patch: JsonObject) => Promise<boolean>;
}

/** What the flow gives to those whom it doesn't name. */
export function General({ general: { who, role }, isBusy, onChange }: Props) {
  const chosen = CHOICES.find((one) => one.who === who);
  return (
    <div className="general" aria-busy={isBusy}>
      <div className="field">
        <select
          aria-label="Who has general access"
          aria-describedby="general-about"
          value={who}
          onChange={({ target }) => {
            const next = target.value as GeneralAccess["who"];
            void onChange({ general: { who: next, role: next === "restricted" ? null : (role ?? "viewer") } });
          }}
        >
          {CHOICES.map((one) => <option key={one.who} value={one.who}>{one.label}</option>)}
        </select>
      </div>
      {who !== "restricted" && (
        <div className="field">
          <RoleSelect
            label="Their role in general"
            role={role ?? "viewer"}
            roles={ROLES_FOR_MANY}
            onRole={(next) => void onChange({ general: { role: next } })}
          />
        </div>
      )}
      <p id="general-about" className="muted">
        {chosen?.about} {who !== "restricted" && `They come as ${roleName(role ?? "viewer").toLowerCase()}s.`}
      </p>
    </div>
  );
}
