import type { JsonObject } from "helix-flows";
import { Crown, Users, X } from "lucide-react";
import { type ReactNode, useRef, useState } from "react";

import { useIdentity } from "../../access/identity";
import { type FlowAccess, type Grant, type Role, ROLES } from "../../api";
import { colorsOf, initials } from "../../badge";
import { Question } from "../../ui/Question";
import type { Somebody } from "../people/people";
import { limitsOf, roleOf, withRole } from "./roles";
import { RoleSelect } from "./RoleSelect";

type Kind = "members" | "groups";

/** How many grants are shown at first. */
const MOST_AT_ONCE = 100;

interface Props {
  access: FlowAccess | null;
  people: readonly Somebody[];
  isBusy: boolean;
  onChange: (patch: JsonObject) => Promise<boolean>;
}

/** Give the patch by which somebody else comes to own the flow. Who owned it may still edit it. */
function transferring({ owner }: FlowAccess, id: string): JsonObject {
  return { owner: id, members: { [id]: null, ...(owner === null ? {} : { [owner]: "editor" }) } };
}

/** Who may do what: the owner, people and groups. */
export function Grants({ access, people, isBusy, onChange }: Props) {
  const { me } = useIdentity();
  const [heir, setHeir] = useState<string | null>(null);
  const [most, setMost] = useState(MOST_AT_ONCE);
  const list = useRef<HTMLUListElement>(null);
  const remove = (kind: Kind, id: string): void => {
    void onChange({ [kind]: { [id]: null } }).then((isDone) => {
      if (isDone) {
        // What had the focus is gone.
        list.current?.focus();
      }
    });
  };
  const called = (id: string): string => people.find(({ key }) => key === id)?.name ?? id;
  const row = (kind: Kind, id: string, grant: Grant) => (
    <Row key={`${kind} ${id}`} id={id} isGroup={kind === "groups"} person={people.find(({ key }) => key === id)} isSelf={me?.id === id} limits={limitsOf(grant)}>
      {kind === "members" && (
        <button className="icon-button" aria-label={`Make ${called(id)} the owner`} title="Make them the owner" onClick={() => { setHeir(id); }}>
          <Crown size={16} />
        </button>
      )}
      <RoleSelect label={`Role of ${called(id)}`} role={roleOf(grant)} roles={ROLES} onRole={(role) => void onChange({ [kind]: { [id]: withRole(grant, role) } })} />
      <button className="icon-button" aria-label={`Remove ${called(id)}`} title="Remove" onClick={() => { remove(kind, id); }}>
        <X size={16} />
      </button>
    </Row>
  );
  const listed = access === null ? [] : [
    ...inOrder(access.members).map(([id, grant]) => row("members", id, grant)),
    ...inOrder(access.groups).map(([id, grant]) => row("groups", id, grant)),
  ];
  return (
    <>
      <Addition access={access} onChange={onChange} />
      {access !== null && (
        <ul ref={list} tabIndex={-1} className="grants" aria-label="Who has access" aria-busy={isBusy}>
          {access.owner !== null && (
            <Row id={access.owner} isGroup={false} person={people.find(({ key }) => key === access.owner)} isSelf={me?.id === access.owner} limits={[]}>
              <span className="muted role">Owner</span>
            </Row>
          )}
          {listed.slice(0, most)}
        </ul>
      )}
      {listed.length > most && (
        <button className="button" onClick={() => { setMost(listed.length); }}>Show all {listed.length}</button>
      )}
      {heir !== null && access !== null && (
        <Question
          title={`Make ${called(heir)} the owner?`}
          text={`They then decide who may do what. ${access.owner === null ? "" : `${me?.id === access.owner ? "You" : access.owner} may still edit the flow, until they change that.`}`}
          answer="Make them the owner"
          onAnswer={() => void onChange(transferring(access, heir))}
          onClose={() => { setHeir(null); }}
        />
      )}
    </>
  );
}

const inOrder = (grants: Readonly<Record<string, Grant>>): [string, Grant][] =>
  Object.entries(grants).sort(([a], [b]) => a.localeCompare(b, undefined, { numeric: true }));

interface RowProps {
  id: string;
  isGroup: boolean;
  /** Who it is, if they are here. */
  person: Somebody | undefined;
  isSelf: boolean;
  limits: readonly string[];
  children: ReactNode;
}

function Row({ id, isGroup, person, isSelf, limits, children }: RowProps) {
  const name = person?.name ?? id;
  return (
    <li className="grant">
      <span className={person === undefined ? "avatar plain" : "avatar"} style={person === undefined ? undefined : colorsOf(person)} aria-hidden>
        {isGroup ? <Users size={14} /> : initials(name)}
      </span>
      <span className="who">
        <b>{name}{isSelf && " (you)"}</b>
        {name !== id && <small>{id}</small>}
        {isGroup && <small>Group</small>}
        {limits.map((one) => <small key={one}>{one}</small>)}
      </span>
      {children}
    </li>
  );
}

/** The longest id, in characters. */
const LONGEST_ID = 255;

/** Gives somebody a role. */
function Addition({ access, onChange }: Pick<Props, "access" | "onChange">) {
  const [id, setId] = useState("");
  const [kind, setKind] = useState<Kind>("members");
  const [role, setRole] = useState<Role>("editor");
  const [fault, setFault] = useState<string | null>(null);
  const field = useRef<HTMLInputElement>(null);
  const add = async (): Promise<void> => {
    const wanted = id.trim();
    if (access === null || wanted === "") {
      return;
    }
    if ((kind === "members" && access.owner === wanted) || Object.hasOwn(access[kind], wanted)) {
      setFault(`${wanted} is already in the list.`);
      return;
    }
    if (await onChange({ [kind]: { [wanted]: role } })) {
      setId("");
      field.current?.focus();
    }
  };
  return (
    <form
      className="addition"
      onSubmit={(event) => {
        event.preventDefault();
        void add();
      }}
    >
      <div className="field id">
        <input
          ref={field}
          aria-label={kind === "members" ? "Id of a person" : "Name of a group"}
          aria-invalid={fault !== null}
          placeholder={kind === "members" ? "Id of a person" : "Name of a group"}
          maxLength={LONGEST_ID}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          value={id}
          onChange={({ target }) => {
            setId(target.value);
            setFault(null);
          }}
        />
      </div>
      <div className="field">
        <select aria-label="What to add" value={kind} onChange={({ target }) => { setKind(target.value as Kind); }}>
          <option value="members">Person</option>
          <option value="groups">Group</option>
        </select>
      </div>
      <div className="field"><RoleSelect label="Their role" role={role} roles={ROLES} onRole={setRole} /></div>
      <button className="button primary" disabled={access === null || id.trim() === ""}>Add</button>
      {fault !== null && <p className="fault" role="alert">{fault}</p>}
    </form>
  );
}
