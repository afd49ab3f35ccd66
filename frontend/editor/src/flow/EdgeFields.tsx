import type { FlowEdge, SyncedFlow } from "helix-flows";

import type { Field } from "../kinds";
import { EDGE_TYPES } from "./elements";
import { PropertyField } from "./PropertyField";
import { Section } from "./Section";
import { shared } from "./shared";

interface Props {
  sync: SyncedFlow;
  edges: readonly FlowEdge[];
  names: ReadonlyMap<string, string>;
}

const LABEL: Field = { name: "label", label: "Label", form: "line" };
const SHAPE: Field = {
  name: "type", label: "Shape", form: EDGE_TYPES, isOptional: false,
  names: new Map([["default", "Curve"], ["smoothstep", "Rounded steps"], ["step", "Steps"], ["straight", "Straight"]]),
};

/** What edges have; of one, also what it joins. */
export function EdgeFields({ sync, edges, names }: Props) {
  const ids = edges.map(({ id }) => id).join();
  const field = (one: Field, values: readonly unknown[]) => (
    <PropertyField
      key={`${one.name} ${ids}`}
      field={one}
      {...shared(values)}
      onChange={(value, _, isText) => {
        const patch = { [one.name]: value === "" ? null : value, ...(one.name === "source" || one.name === "target" ? { [`${one.name}Handle`]: null } : {}) };
        sync.gather(`${one.name}:${ids}`, { edges: Object.fromEntries(edges.map(({ id }) => [id, patch])) }, { isText });
      }}
      onBlur={() => { sync.flush(); }}
    />
  );
  const end = (name: "source" | "target", label: string): Field => ({ name, label, form: [...names.keys()], names, isOptional: false });
  return (
    <>
      <Section title="About">
        {field(LABEL, edges.map(({ label }) => label))}
        {field(SHAPE, edges.map(({ type }) => type ?? "default"))}
      </Section>
      {edges.length === 1 && (
        <Section title="Joins">
          {field(end("source", "From"), edges.map(({ source }) => source))}
          {field(end("target", "To"), edges.map(({ target }) => target))}
        </Section>
      )}
    </>
  );
}
