import { type FlowNode, type JsonObject, type Member, own, type SyncedFlow } from "helix-flows";
import { memo } from "react";

import { sizeOf } from "../../drawing";
import { type Field, fieldFor, hasKindInData, KINDS, kindOfNode, shortOf, textOf } from "../../kinds";
import { placesIn } from "../../nesting";
import { AsJson } from "../../ui/AsJson";
import { MAX_SIZE, MIN_SIZE } from "../canvas/FlowNode";
import { turning } from "../edits/values";
import { Within } from "../reach";
import { KindFields } from "./KindFields";
import { LinksField } from "./LinksField";
import { LookFields } from "./LookFields";
import { PropertyField } from "./PropertyField";
import { asChoice } from "./readings";
import { Section } from "./Section";
import { shared } from "./shared";

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

/** The most fields of a node that no kind has. */
const MOST_OTHERS = 100;

/** The fields of all nodes, and those of one kind. A drag changes nothing yet, so it doesn't render them. */
export const NodeFields = memo(function NodeFields({ sync, nodes, members }: Props) {
  const [node] = nodes;
  if (node === undefined) {
    return null;
  }
  const kind = kindOfNode(node);
  const isOneKind = nodes.every((one) => kindOfNode(one) === kind);
  const known = new Set([...COMMON, ...kind.fields].map(({ name }) => name));
  const others = nodes.length > 1 ? [] : Object.keys(node.data).filter((name) => !known.has(name) && name !== "color" && !(name === "type" && hasKindInData(node)));
  const ids = nodes.map(({ id }) => id);
  const change = (key: string, of: JsonObject | ((node: FlowNode) => JsonObject), isText = false): void => {
    const patches = nodes.map((one) => [one.id, typeof of === "function" ? of(one) : of] as const);
    sync.gather(`${key}:${ids.join()}`, { nodes: Object.fromEntries(patches) }, { isText });
  };
  const editorOf = (name: string): Member | undefined =>
    members.find(({ isSelf, meta }) => {
      const editing = meta.editing ?? {};
      return !isSelf && ids.includes(textOf(editing["node"])) && editing["field"] === name;
    });
  const dataField = (known: Field) => {
    const held = shared(nodes.map(({ data }) => own(data, known.name)));
    const field = fieldFor(known, held.value);
    const { name, form } = field;
    const isSwitch = form === "switch";
    const more = {
      editor: editorOf(name),
      onChange: (value: unknown, before: unknown, isText = false): void => {
        const given = isSwitch && typeof value === "string" ? (value === "" ? null : value === "true") : typeof form === "object" && value === "" ? null : value;
        change(`data.${name}`, ({ data }) => ({ data: { [name]: turning(own(data, name), before, given) } }), isText);
      },
      onFocus: () => { sync.setPresence({ editing: { node: node.id, field: name } }); },
      onBlur: () => {
        sync.flush();
        sync.setPresence({ editing: null });
      },
    };
    const key = `${name} ${ids.join()}`;
    const places = ids.map((id) => ["nodes", id, "data", name]);
    if (form === "links") {
      return (
        <Within key={key} places={places}>
          <LinksField field={field} {...held} document={sync.state.document} {...more} onChange={(value) => { more.onChange(value, held.value); }} />
        </Within>
      );
    }
    return (
      <Within key={key} places={places}>
        {isSwitch
          ? <PropertyField field={asChoice(field)} value={held.value === undefined ? undefined : textOf(held.value)} isMixed={held.isMixed} {...more} />
          : <PropertyField field={field} {...held} {...more} />}
      </Within>
    );
  };
  const kindField = (
    <Within key={`type ${ids.join()}`} places={nodes.map((one) => ["nodes", one.id, ...(hasKindInData(one) ? ["data", "type"] : ["type"])])}>
      <PropertyField
        field={KIND}
        {...shared(nodes.map((one) => (hasKindInData(one) ? one.data["type"] : one.type)))}
        onChange={(type) => { change("type", (one) => (hasKindInData(one) ? { data: { type } } : { type })); }}
        onBlur={() => { sync.flush(); }}
      />
    </Within>
  );
  return (
    <>
      <Section title="About">{COMMON.map(dataField)}</Section>
      {isOneKind ? <KindFields kind={kind} nodes={nodes} render={dataField}>{kindField}</KindFields> : <Section title="Kind">{kindField}</Section>}
      {others.length > 0 && (
        <Section title="More">
          {others.slice(0, MOST_OTHERS).map((name) => dataField({ name, label: shortOf(name), form: "json" }))}
          {others.length > MOST_OTHERS && (
            <>
              <p className="muted">{others.length - MOST_OTHERS} more fields can't be edited here.</p>
              <AsJson value={node.data} />
            </>
          )}
        </Section>
      )}
      <Section title="Position and size">
        <PlaceFields sync={sync} nodes={nodes} change={change} />
      </Section>
      <LookFields sync={sync} nodes={nodes} change={change} />
    </>
  );
});

interface PartProps {
  sync: SyncedFlow;
  change: (key: string, of: JsonObject | ((node: FlowNode) => JsonObject)) => void;
}

/** The fields for position and size; disabled for locked nodes. */
function PlaceFields({ sync, nodes, change }: PartProps & { nodes: readonly FlowNode[] }) {
  const ids = nodes.map(({ id }) => id).join();
  const isDisabled = nodes.some((node) => node["draggable"] === false);
  const places = placesIn(sync.state.document ?? { nodes: {} });
  const flush = (): void => { sync.flush(); };
  return (
    <div className="pair">
      {(["x", "y"] as const).map((axis) => (
        <Within key={`${axis} ${ids}`} places={nodes.map(({ id }) => ["nodes", id, "position", axis])}>
          <PropertyField
            field={{ name: axis, label: axis.toUpperCase(), form: "number" }}
            {...shared(nodes.map(({ position }) => position[axis]))}
            isDisabled={isDisabled}
            onChange={(value) => { change(axis, ({ id }) => ({ position: { [axis]: value }, parentId: places.get(id)?.parent ?? null })); }}
            onBlur={flush}
          />
        </Within>
      ))}
      {SIZES.map((field) => (
        <Within key={`${field.name} ${ids}`} places={nodes.map(({ id }) => ["nodes", id, field.name])}>
          <PropertyField
            field={field}
            {...shared(nodes.map((node) => own(node, field.name)))}
            placeholder={String(sizeOf(nodes[0] ?? {})[field.name as "width" | "height"])}
            isDisabled={isDisabled}
            onChange={(value) => { change(field.name, { [field.name]: value }); }}
            onBlur={flush}
          />
        </Within>
      ))}
    </div>
  );
}
