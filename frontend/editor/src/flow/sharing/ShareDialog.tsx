import "../../styles/share.css";

import type { Member } from "helix-flows";
import { Link2 } from "lucide-react";
import { type ReactNode, useMemo } from "react";

import { colorsOf, initials } from "../../badge";
import { Dialog } from "../../ui/Dialog";
import { peopleOf, type Somebody } from "../people/people";
import { General } from "./General";
import { Grants } from "./Grants";
import { Links } from "./Links";
import { share } from "./outputs";
import { type AccessCalls, type Part, useAccess } from "./useAccess";

interface Props {
  flowId: string;
  title: string;
  members: readonly Member[];
  onClose: () => void;
}

/** Shows and changes who may do what with a flow. */
export default function ShareDialog({ flowId, title, members, onClose }: Props) {
  const access = useAccess(flowId);
  const { given, busy, change } = access;
  const people = useMemo(() => peopleOf(members), [members]);
  return (
    <Dialog title={`Share “${title || "Untitled flow"}”`} onClose={onClose}>
      <div className="body share">
        <Section title="People and groups" part="people" access={access}>
          <Grants access={given?.access ?? null} people={people} isBusy={busy === "people"} onChange={(patch) => change("people", patch)} />
        </Section>
        <Section title="General access" part="general" access={access}>
          {given !== null && <General general={given.access.general} isBusy={busy === "general"} onChange={(patch) => change("general", patch)} />}
        </Section>
        <Section title="Links for guests" part="links" access={access}>
          <Links {...access} />
        </Section>
        <section aria-label="Here now">
          <h3>Here now</h3>
          <ul className="here">{people.map((person) => <Here key={person.key} person={person} />)}</ul>
        </section>
      </div>
      <footer>
        <button className="button" onClick={() => { share(false); }}><Link2 size={16} aria-hidden /> Copy the flow's address</button>
        <button className="button" onClick={onClose}>Done</button>
      </footer>
    </Dialog>
  );
}

function Section({ title, part, access: { fault }, children }: { title: string; part: Part; access: AccessCalls; children: ReactNode }) {
  return (
    <section aria-label={title}>
      <h3>{title}</h3>
      {children}
      {fault?.part === part && <p className="fault" role="alert">{fault.text}</p>}
    </section>
  );
}

function Here({ person }: { person: Somebody }) {
  const { name, isSelf, isGuest } = person;
  return (
    <li>
      <span className="avatar" style={colorsOf(person)} aria-hidden>{initials(name)}</span>
      {name}{isSelf && " (you)"}{isGuest && <span className="badge">Guest</span>}
    </li>
  );
}
