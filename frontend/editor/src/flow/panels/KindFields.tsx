import { type FlowNode, own } from "helix-flows";
import { type ReactNode, useState } from "react";

import type { Field, Kind } from "../../kinds";
import { Section } from "./Section";

/** Groups of fields that the user has opened or closed, by kind and title: the same for all nodes of a kind. */
const opened = new Map<string, boolean>();

interface Props {
  kind: Kind;
  nodes: readonly FlowNode[];
  /** Renders a field. */
  render: (field: Field) => ReactNode;
  /** Shown above the fields that are always visible. */
  children: ReactNode;
}

/** The fields of a kind, grouped as in `kinds.json`. A group without values is closed until somebody opens it. */
export function KindFields({ kind, nodes, render, children }: Props) {
  const [first, more] = [kind.groups.filter(({ title }) => title === ""), kind.groups.filter(({ title }) => title !== "")];
  return (
    <>
      <Section title={kind.name}>
        {children}
        {first.flatMap(({ fields }) => fields).map(render)}
      </Section>
      {more.map(({ title, fields }) => {
        const isUsed = nodes.some(({ data }) => fields.some(({ name }) => own(data, name) !== undefined));
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
  /** The key for remembering whether it is open. */
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
