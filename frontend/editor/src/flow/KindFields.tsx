import type { FlowDocument, FlowNode } from "helix-flows";
import { type ReactNode, useState } from "react";

import { type Field, kindOfNode, labelOf, type Kind } from "../kinds";
import { Section } from "./Section";

/** Which groups of fields somebody has opened or closed, by kind and title: other nodes of the kind show the same. */
const opened = new Map<string, boolean>();

interface Props {
  kind: Kind;
  nodes: readonly FlowNode[];
  /** Renders a field. */
  render: (field: Field) => ReactNode;
  /** Stands above the fields that are always in sight. */
  children: ReactNode;
}

/** What nodes of a kind have, as `kinds.json` groups it. A group with nothing in it is closed until somebody opens it. */
export function KindFields({ kind, nodes, render, children }: Props) {
  const [first, more] = [kind.groups.filter(({ title }) => title === ""), kind.groups.filter(({ title }) => title !== "")];
  return (
    <>
      <Section title={kind.name}>
        {children}
        {first.flatMap(({ fields }) => fields).map(render)}
      </Section>
      {more.map(({ title, fields }) => {
        const isUsed = nodes.some(({ data }) => fields.some(({ name }) => data[name] !== undefined));
        return (
          <Group key={`${nodes[0]?.id ?? ""} ${kind.type} ${title}`} name={`${kind.type} ${title}`} title={title} isUsed={isUsed}>
            {() => fields.map(render)}
          </Group>
        );
      })}
    </>
  );
}

interface GroupProps {
  /** What it is remembered by. */
  name: string;
  title: string;
  isUsed: boolean;
  children: () => ReactNode;
}

function Group({ name, title, isUsed, children }: GroupProps) {
  const [isOpen, setOpen] = useState(() => opened.get(name) ?? isUsed);
  return (
    <details
      className="group"
      open={isOpen}
      onToggle={({ currentTarget }) => {
        if (currentTarget.open !== isOpen) {
          opened.set(name, currentTarget.open);
          setOpen(currentTarget.open);
        }
      }}
    >
      <summary>
        <h3>{title}</h3>
      </summary>
      {isOpen && <div className="grouped">{children()}</div>}
    </details>
  );
}

interface LinksProps {
  field: Field;
  value: unknown;
  isMixed: boolean;
  document: FlowDocument | null;
  onChange: (value: unknown) => void;
  onFocus: () => void;
  onBlur: () => void;
}

/** Chooses among the flow's nodes of some kinds; those that are chosen are kept by their ids. */
export function LinksField({ field, value, isMixed, document, onChange, onFocus, onBlur }: LinksProps) {
  const chosen = Array.isArray(value) ? (value as unknown[]).filter((one) => typeof one === "string") : [];
  const found = Object.values(document?.nodes ?? {}).filter((node) => field.kinds?.includes(kindOfNode(node).type));
  const names = new Map(found.map((node) => [node.id, labelOf(node)]));
  const gone = chosen.filter((id) => !names.has(id));
  const sorted = [...names].toSorted(([, a], [, b]) => a.localeCompare(b));
  return (
    <fieldset className="field links" onFocus={onFocus} onBlur={onBlur}>
      <legend>{field.label}</legend>
      {isMixed && <p className="muted">Different values</p>}
      {[...sorted, ...gone.map((id) => [id, `Not in this flow: ${id}`] as const)].map(([id, name]) => (
        <label key={id}>
          <input
            type="checkbox"
            checked={chosen.includes(id)}
            onChange={({ target }) => {
              const others = chosen.filter((one) => one !== id);
              onChange(target.checked ? [...others, id] : others.length === 0 ? null : others);
            }}
          />
          <span>{name}</span>
        </label>
      ))}
      {names.size === 0 && gone.length === 0 && <p className="muted">This flow has none yet.</p>}
      {field.help !== undefined && <span className="help">{field.help}</span>}
    </fieldset>
  );
}

const YES_OR_NO = ["true", "false"];
const ANSWERS = new Map([["true", "Yes"], ["false", "No"]]);

/** Give a switch as a choice of words: so it can be unset, and different in many. */
export function asChoice(field: Field): Field {
  return { ...field, form: YES_OR_NO, names: ANSWERS };
}
