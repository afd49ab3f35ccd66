import type { FlowNode, JsonObject, SyncedFlow } from "helix-flows";
import type { CSSProperties } from "react";

import { type Field, HEX, KINDS, tintOf } from "../../kinds";
import { LINES, type Look, lookOf, MAX_BORDER, styling } from "../../look";
import { Within } from "../reach";
import { ColorField } from "./ColorField";
import { PropertyField } from "./PropertyField";
import { Section } from "./Section";
import { shared } from "./shared";

interface Props {
  sync: SyncedFlow;
  nodes: readonly FlowNode[];
  change: (key: string, of: JsonObject | ((node: FlowNode) => JsonObject)) => void;
}

const WIDTH: Field = { name: "borderWidth", label: "Thickness", form: "number", isOptional: true, range: [0, MAX_BORDER] };
const LINE: Field = {
  name: "borderStyle", label: "Border style", form: LINES,
  names: new Map([["solid", "Solid"], ["dashed", "Dashed"], ["dotted", "Dotted"]]),
};

/** The fields for nodes' look: a kind's colour or any other, fill and border. */
export function LookFields({ sync, nodes, change }: Props) {
  const ids = nodes.map(({ id }) => id).join();
  const colors = shared(nodes.map(({ data }) => data["color"]));
  const looks = nodes.map(lookOf);
  const flush = (): void => { sync.flush(); };
  const restyle = (name: string, of: Partial<Look>): void => {
    change(name, (node) => ({ style: styling(node, of) }));
  };
  return (
    <Section title="Colour and border">
      <Within places={nodes.map(({ id }) => ["nodes", id, "data", "color"])}>
        <Swatches color={colors.value} own={tintOf(nodes[0] ?? {}).own} onChange={(color) => { change("color", { data: { color } }); flush(); }} />
        <ColorField
          key={`color ${ids}`}
          label="Custom colour"
          value={typeof colors.value === "string" && HEX.test(colors.value) ? colors.value : undefined}
          isMixed={colors.isMixed}
          onChange={(color) => { change("color", { data: { color } }); }}
          onBlur={flush}
        />
      </Within>
      <Within places={nodes.map(({ id }) => ["nodes", id, "style"])}>
        <ColorField key={`fill ${ids}`} label="Fill" {...shared(looks.map(({ fill }) => fill ?? undefined))} onChange={(fill) => { restyle("fill", { fill }); }} onBlur={flush} />
        <ColorField key={`border ${ids}`} label="Border" {...shared(looks.map(({ border }) => border ?? undefined))} onChange={(border) => { restyle("border", { border }); }} onBlur={flush} />
        <div className="pair">
          <PropertyField
            key={`width ${ids}`}
            field={WIDTH}
            {...shared(looks.map(({ width }) => width ?? undefined))}
            placeholder="1"
            onChange={(width) => { restyle("width", { width: width as number | null }); }}
            onBlur={flush}
          />
          <PropertyField
            key={`line ${ids}`}
            field={LINE}
            {...shared(looks.map(({ line }) => line ?? undefined))}
            onChange={(line) => { restyle("line", { line: LINES.find((one) => one === line) ?? null }); }}
            onBlur={flush}
          />
        </div>
      </Within>
    </Section>
  );
}

function Swatches({ color, own, onChange }: { color: unknown; own: string | null; onChange: (color: string | null) => void }) {
  return (
    <div className="swatches" role="group" aria-label="Colour">
      {own !== null && color === own && (
        <button
          type="button"
          className="own"
          style={{ "--own": own } as CSSProperties}
          aria-label={`Custom: ${own}`}
          title={`Custom: ${own}`}
          aria-pressed
          onClick={() => { onChange(null); }}
        />
      )}
      {KINDS.map(({ type, name }) => (
        <button
          key={type}
          type="button"
          className={type}
          aria-label={`${name} colour`}
          title={`${name} colour`}
          aria-pressed={color === type}
          onClick={() => { onChange(color === type ? null : type); }}
        />
      ))}
    </div>
  );
}
