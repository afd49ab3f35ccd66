import type { FlowEdge, FlowNode, JsonObject, Member, SyncedFlow } from "helix-flows";
import { X } from "lucide-react";

import { type Field, KINDS, kindOf, labelOf, textOf } from "../kinds";
import { PropertyField } from "./PropertyField";

interface Props {
  sync: SyncedFlow;
  nodes: readonly FlowNode[];
  edges: readonly FlowEdge[];
  members: readonly Member[];
  isReadOnly: boolean;
  onClose: () => void;
}

const COMMON: readonly Field[] = [
  { name: "label", label: "Label", form: "line" },
  { name: "description", label: "Description", form: "text" },
];
const EDGE_TYPES = ["default", "smoothstep", "step", "straight"];

/** Give the value that all have; `undefined` where they differ or have none. */
function shared(values: readonly unknown[]): { value: unknown; isMixed: boolean } {
  const [first] = values;
  const isMixed = values.some((value) => JSON.stringify(value) !== JSON.stringify(first));
  return { value: isMixed ? undefined : first, isMixed };
}

/** Edits what is selected: one, or many at once. */
export function Properties({ sync, nodes, edges, members, isReadOnly, onClose }: Props) {
  const [node] = nodes;
  const isOne = nodes.length + edges.length === 1;
  const title = isOne && node !== undefined ? labelOf(node) : isOne ? "Edge" : `${nodes.length + edges.length} selected`;
  const Icon = kindOf(node?.type).icon;
  return (
    <aside className="properties panel" aria-label="Properties">
      <header>
        {node !== undefined && (
          <span className={`kind-icon ${kindOf(node.type).type}`}>
            <Icon size={14} aria-hidden />
          </span>
        )}
        <h2>{title}</h2>
        <button className="icon-button" aria-label="Close properties" onClick={onClose}>
          <X size={16} />
        </button>
      </header>
      <fieldset className="fields" disabled={isReadOnly}>
        {nodes.length > 0 ? (
          <NodeFields sync={sync} nodes={nodes} members={members} />
        ) : (
          <EdgeFields sync={sync} edges={edges} />
        )}
      </fieldset>
    </aside>
  );
}

interface NodeFieldsProps {
  sync: SyncedFlow;
  nodes: readonly FlowNode[];
  members: readonly Member[];
}

function NodeFields({ sync, nodes, members }: NodeFieldsProps) {
  const [node] = nodes;
  if (node === undefined) {
    return null;
  }
  const isOneKind = nodes.every(({ type }) => type === node.type);
  const fields = [...COMMON, ...(isOneKind ? kindOf(node.type).fields : [])];
  const known = new Set(fields.map(({ name }) => name));
  const ids = nodes.map(({ id }) => id);
  const change = (key: string, of: (node: FlowNode) => JsonObject): void => {
    sync.gather(`${key}:${ids.join()}`, { nodes: Object.fromEntries(nodes.map((one) => [one.id, of(one)])) });
  };
  const editorOf = (name: string): Member | undefined =>
    members.find(({ isSelf, meta }) => {
      const editing = meta.editing ?? {};
      return !isSelf && ids.includes(textOf(editing["node"])) && editing["field"] === name;
    });
  const others = nodes.length > 1 ? [] : Object.keys(node.data).filter((name) => !known.has(name) && name !== "color");
  const color = shared(nodes.map(({ data }) => data["color"])).value;
  return (
    <>
      {[...fields, ...others.map((name): Field => ({ name, label: name, form: "json" }))].map((field) => (
        <PropertyField
          key={`${field.name} ${ids.join()}`}
          field={field}
          {...shared(nodes.map(({ data }) => data[field.name]))}
          editor={editorOf(field.name)}
          onChange={(value) => { change(`data.${field.name}`, () => ({ data: { [field.name]: value } })); }}
          onFocus={() => { sync.setPresence({ editing: { node: node.id, field: field.name } }); }}
          onBlur={() => {
            sync.flush();
            sync.setPresence({ editing: null });
          }}
        />
      ))}
      <div className="pair">
        {(["x", "y"] as const).map((axis) => (
          <PropertyField
            key={`${axis} ${ids.join()}`}
            field={{ name: axis, label: axis.toUpperCase(), form: "number" }}
            {...shared(nodes.map(({ position }) => position[axis]))}
            onChange={(value) => {
              if (typeof value === "number") {
                change(axis, () => ({ position: { [axis]: value } }));
              }
            }}
            onBlur={() => { sync.flush(); }}
          />
        ))}
      </div>
      <div className="field">
        <span id="swatches">Colour</span>
        <div className="swatches" role="group" aria-labelledby="swatches">
          {KINDS.map(({ type, name }) => (
            <button
              key={type}
              className={type}
              aria-label={`As ${name}`}
              title={`As ${name}`}
              aria-pressed={color === type}
              onClick={() => {
                change("color", () => ({ data: { color: color === type ? null : type } }));
                sync.flush();
              }}
            />
          ))}
        </div>
      </div>
    </>
  );
}

function EdgeFields({ sync, edges }: { sync: SyncedFlow; edges: readonly FlowEdge[] }) {
  const ids = edges.map(({ id }) => id).join();
  const change = (name: string, value: unknown): void => {
    sync.gather(`${name}:${ids}`, { edges: Object.fromEntries(edges.map(({ id }) => [id, { [name]: value }])) });
  };
  const fields: readonly Field[] = [
    { name: "label", label: "Label", form: "line" },
    { name: "type", label: "Shape", form: EDGE_TYPES },
  ];
  return fields.map((field) => (
    <PropertyField
      key={`${field.name} ${ids}`}
      field={field}
      {...shared(edges.map((edge) => edge[field.name]))}
      onChange={(value) => { change(field.name, value === "" ? null : value); }}
      onBlur={() => { sync.flush(); }}
    />
  ));
}
