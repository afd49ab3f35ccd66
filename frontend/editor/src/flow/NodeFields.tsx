import type { FlowNode, JsonObject, Member, SyncedFlow } from "helix-flows";
import { memo } from "react";

import { sizeOf } from "../drawing";
import { type Field, hasKindInData, KINDS, kindOfNode, textOf, tintOf } from "../kinds";
import { placesIn } from "../nesting";
import { MAX_SIZE, MIN_SIZE } from "./FlowNode";
import { PropertyField } from "./PropertyField";
import { Section } from "./Section";
import { shared } from "./shared";
import { turning } from "./values";

interface Props {
  sync: SyncedFlow;
  nodes: readonly FlowNode[];
  members: readonly Member[];
}

const COMMON: readonly Field[] = [
  { name: "label", label: "Label", form: "line" },
  { name: "description", label: "Description", form: "text" },
];
const KIND: Field = {
  name: "type", label: "Kind", form: KINDS.map(({ type }) => type), isOptional: false,
  names: new Map(KINDS.map(({ type, name }) => [type, name])),
};
const SIZES: readonly Field[] = [
  { name: "width", label: "Width", form: "number", isOptional: true, range: [MIN_SIZE.width, MAX_SIZE.width] },
  { name: "height", label: "Height", form: "number", isOptional: true, range: [MIN_SIZE.height, MAX_SIZE.height] },
];

/** What all nodes have, and what those of one kind have besides. A drag, which changes nothing yet, renders none of it. */
export const NodeFields = memo(function NodeFields({ sync, nodes, members }: Props) {
  const [node] = nodes;
  if (node === undefined) {
    return null;
  }
  const kind = kindOfNode(node);
  const isOneKind = nodes.every((one) => kindOfNode(one) === kind);
  const known = new Set([...COMMON, ...kind.fields].map(({ name }) => name));
  const others = nodes.length > 1 ? [] : Object.keys(node.data).filter((name) => !known.has(name) && name !== "color" && !(name === "type" && hasKindInData(node)));
  const fields = [...(isOneKind ? kind.fields : []), ...others.map((name): Field => ({ name, label: name, form: "json" }))];
  const ids = nodes.map(({ id }) => id);
  const change = (key: string, of: JsonObject | ((node: FlowNode) => JsonObject)): void => {
    const patches = nodes.map((one) => [one.id, typeof of === "function" ? of(one) : of] as const);
    sync.gather(`${key}:${ids.join()}`, { nodes: Object.fromEntries(patches) });
  };
  const editorOf = (name: string): Member | undefined =>
    members.find(({ isSelf, meta }) => {
      const editing = meta.editing ?? {};
      return !isSelf && ids.includes(textOf(editing["node"])) && editing["field"] === name;
    });
  const dataField = (field: Field) => (
    <PropertyField
      key={`${field.name} ${ids.join()}`}
      field={field}
      {...shared(nodes.map(({ data }) => data[field.name]))}
      editor={editorOf(field.name)}
      onChange={(value, before) => {
        change(`data.${field.name}`, ({ data }) => ({ data: { [field.name]: turning(data[field.name], before, value) } }));
      }}
      onFocus={() => { sync.setPresence({ editing: { node: node.id, field: field.name } }); }}
      onBlur={() => {
        sync.flush();
        sync.setPresence({ editing: null });
      }}
    />
  );
  return (
    <>
      <Section title="About">{COMMON.map(dataField)}</Section>
      <Section title={isOneKind ? kind.name : "Kind"}>
        <PropertyField
          key={`type ${ids.join()}`}
          field={KIND}
          {...shared(nodes.map((one) => (hasKindInData(one) ? one.data["type"] : one.type)))}
          onChange={(type) => { change("type", (one) => (hasKindInData(one) ? { data: { type } } : { type })); }}
          onBlur={() => { sync.flush(); }}
        />
        {fields.map(dataField)}
      </Section>
      <Section title="Place and size">
        <PlaceFields sync={sync} nodes={nodes} change={change} />
      </Section>
      <Section title="Colour">
        <Swatches sync={sync} color={shared(nodes.map(({ data }) => data["color"])).value} own={tintOf(node).own} change={change} />
      </Section>
    </>
  );
});

interface PartProps {
  sync: SyncedFlow;
  change: (key: string, of: JsonObject | ((node: FlowNode) => JsonObject)) => void;
}

/** Where nodes are, and how large; locked ones stay as they are. */
function PlaceFields({ sync, nodes, change }: PartProps & { nodes: readonly FlowNode[] }) {
  const ids = nodes.map(({ id }) => id).join();
  const isDisabled = nodes.some((node) => node["draggable"] === false);
  const places = placesIn(sync.state.document ?? { nodes: {} });
  const flush = (): void => { sync.flush(); };
  return (
    <div className="pair">
      {(["x", "y"] as const).map((axis) => (
        <PropertyField
          key={`${axis} ${ids}`}
          field={{ name: axis, label: axis.toUpperCase(), form: "number" }}
          {...shared(nodes.map(({ position }) => position[axis]))}
          isDisabled={isDisabled}
          onChange={(value) => { change(axis, ({ id }) => ({ position: { [axis]: value }, parentId: places.get(id)?.parent ?? null })); }}
          onBlur={flush}
        />
      ))}
      {SIZES.map((field) => (
        <PropertyField
          key={`${field.name} ${ids}`}
          field={field}
          {...shared(nodes.map((node) => node[field.name]))}
          placeholder={String(sizeOf(nodes[0] ?? {})[field.name as "width" | "height"])}
          isDisabled={isDisabled}
          onChange={(value) => { change(field.name, { [field.name]: value }); }}
          onBlur={flush}
        />
      ))}
    </div>
  );
}

function Swatches({ sync, color, own, change }: PartProps & { color: unknown; own: string | null }) {
  return (
    <div className="swatches" role="group" aria-label="Colour">
      {own !== null && color === own && (
        <button
          type="button"
          className="own"
          style={{ "--own": own } as React.CSSProperties}
          aria-label={`Its own: ${own}`}
          title={`Its own: ${own}`}
          aria-pressed
          onClick={() => {
            change("color", { data: { color: null } });
            sync.flush();
          }}
        />
      )}
      {KINDS.map(({ type, name }) => (
        <button
          key={type}
          type="button"
          className={type}
          aria-label={`As ${name}`}
          title={`As ${name}`}
          aria-pressed={color === type}
          onClick={() => {
            change("color", { data: { color: color === type ? null : type } });
            sync.flush();
          }}
        />
      ))}
    </div>
  );
}
