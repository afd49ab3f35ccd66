import type { FlowEdge, SyncedFlow } from "helix-flows";
import type { UseFlowResult } from "helix-flows/react";

import type { Field } from "../../kinds";
import { EDGE_TYPES, ledTo } from "../canvas/elements";
import { Within } from "../reach";
import { PropertyField } from "./PropertyField";
import { Section } from "./Section";
import { shared } from "./shared";

interface Props {
  sync: SyncedFlow;
  /** Reconnect an edge. */
  onReconnect: UseFlowResult["onReconnect"];
  edges: readonly FlowEdge[];
  names: ReadonlyMap<string, string>;
}

const LABEL: Field = { name: "label", label: "Label", form: "line" };
const SHAPE: Field = {
  name: "type", label: "Shape", form: EDGE_TYPES, isOptional: false,
  names: new Map([["default", "Curve"], ["smoothstep", "Rounded steps"], ["step", "Steps"], ["straight", "Straight"]]),
};

/** The fields of edges; for one edge, also its ends. */
export function EdgeFields({ sync, onReconnect, edges, names }: Props) {
  const ids = edges.map(({ id }) => id).join();
  const field = (one: Field, values: readonly unknown[]) => (
    <Within key={`${one.name} ${ids}`} places={edges.map(({ id }) => ["edges", id, one.name])}>
      <PropertyField
        field={one}
        {...shared(values)}
        onChange={(value, _, isText) => {
          const patch = { [one.name]: value === "" ? null : value };
          sync.gather(`${one.name}:${ids}`, { edges: Object.fromEntries(edges.map(({ id }) => [id, patch])) }, { isText });
        }}
        onBlur={() => { sync.flush(); }}
      />
    </Within>
  );
  /** The key is only the side: the edge's id may change, and the field must keep the focus. */
  const end = (edge: FlowEdge, side: "source" | "target", label: string) => (
    <Within key={side} places={[["edges", edge.id]]}>
      <PropertyField
        field={{ name: side, label, form: [...names.keys()], names, isOptional: false }}
        value={edge[side]}
        isMixed={false}
        onChange={(value) => {
          const { id, source, target } = edge;
          onReconnect({ id, source, target }, ledTo(edge, { source, target, [side]: value as string }));
        }}
      />
    </Within>
  );
  const [only, ...others] = edges;
  return (
    <>
      <Section title="About">
        {field(LABEL, edges.map(({ label }) => label))}
        {field(SHAPE, edges.map(({ type }) => type ?? "default"))}
      </Section>
      {only !== undefined && others.length === 0 && (
        <Section title="Connects">
          {end(only, "source", "From")}
          {end(only, "target", "To")}
        </Section>
      )}
    </>
  );
}
