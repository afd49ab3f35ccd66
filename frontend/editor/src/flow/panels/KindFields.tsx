import { type FlowNode, own } from "helix-flows";
import { type ReactNode, useState } from "react";

import type { Field, Kind } from "../../kinds";
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
