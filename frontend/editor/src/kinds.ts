/** The ten kinds of nodes: what they are called, look like, and hold. */

import {
  ArrowRightFromLine, ArrowRightToLine, Bot, Braces, Database, Diamond, type LucideIcon, Radio, Repeat,
  SlidersHorizontal, Square, Zap,
} from "lucide-react";
import type { CSSProperties } from "react";

/** How a field is edited: `list` one a line, `json` as it is written there. */
export type FieldForm = "line" | "text" | "code" | "number" | "list" | "json" | readonly string[];

export interface Field {
  name: string;
  label: string;
  form: FieldForm;
  /** What the options of a list of words are called, where it isn't by themselves. */
  names?: ReadonlyMap<string, string>;
  /** It may be left empty. */
  isOptional?: boolean;
  /** The least and the most that a number may be. */
  range?: readonly [number, number];
}

export interface Kind {
  type: string;
  name: string;
  icon: LucideIcon;
  fields: readonly Field[];
  /** The field that tells most about a node, beside its label. */
  telling: string;
}

const field = (name: string, label: string, form: FieldForm = "line"): Field => ({ name, label, form });

export const KINDS: readonly Kind[] = [
  {
    type: "agent", name: "Agent", icon: Bot, telling: "model",
    fields: [
      field("model", "Model", ["small", "standard", "large"]), field("instructions", "Instructions", "text"),
      field("tools", "Tools", "list"),
    ],
  },
  {
    type: "sensor", name: "Sensor", icon: Radio, telling: "source",
    fields: [field("source", "Source"), field("interval", "Interval")],
  },
  {
    type: "skill", name: "Skill", icon: Zap, telling: "name",
    fields: [field("name", "Skill"), field("parameters", "Parameters", "json")],
  },
  {
    type: "decision", name: "Decision", icon: Diamond, telling: "condition",
    fields: [field("condition", "Condition", "code"), field("branches", "Branches", "list")],
  },
  {
    type: "input", name: "Input", icon: ArrowRightToLine, telling: "format",
    fields: [field("format", "Format"), field("fields", "Fields", "list")],
  },
  {
    type: "output", name: "Output", icon: ArrowRightFromLine, telling: "format",
    fields: [field("format", "Format"), field("template", "Template")],
  },
  {
    type: "memory", name: "Memory", icon: Database, telling: "kind",
    fields: [field("kind", "Store", ["table", "vector", "log", "key-value"]), field("key", "Key")],
  },
  {
    type: "loop", name: "Loop", icon: Repeat, telling: "over",
    fields: [field("over", "Over"), { ...field("limit", "At most", "number"), range: [1, 1_000_000], isOptional: true }],
  },
  {
    type: "transform", name: "Transform", icon: SlidersHorizontal, telling: "expression",
    fields: [field("expression", "Expression", "code")],
  },
  {
    type: "api", name: "API", icon: Braces, telling: "url",
    fields: [
      field("method", "Method", ["GET", "POST", "PUT", "PATCH", "DELETE"]), field("url", "Address"),
      field("headers", "Headers", "json"), field("body", "Body", "code"),
    ],
  },
];

const OTHER: Kind = { type: "other", name: "Node", icon: Square, fields: [], telling: "" };

const byType = new Map(KINDS.map((kind) => [kind.type, kind]));

/** Give the kind of a type; of one that we don't know, a plain one. */
export function kindOf(type: string | undefined): Kind {
  return byType.get(type ?? "") ?? OTHER;
}

/** What a node is by: its type, and what an earlier generation's pages told its kind by. */
interface Typed {
  type?: unknown;
  data?: Record<string, unknown>;
}

/** The type of all nodes of an earlier generation's pages. */
const OLD_TYPE = "aiFlowNode";

/** Tell whether a node's kind is in its data, where an earlier generation's pages have it. */
export function hasKindInData({ type, data }: Typed): boolean {
  return !byType.has(textOf(type)) && (type === OLD_TYPE || byType.has(textOf(data?.["type"])));
}

/** Give the kind of a node. */
export function kindOfNode(node: Typed): Kind {
  return kindOf(textOf(hasKindInData(node) ? node.data?.["type"] : node.type));
}

/** How a node is coloured. */
export interface Tint {
  /** The kind whose colour it has. */
  kind: string;
  /** A colour of its own in place of that, as `#rrggbb`. */
  own: string | null;
  /** Somebody has chosen it. */
  isChosen: boolean;
}

const HEX = /^#(?:[\da-f]{3}|[\da-f]{6})$/i;

/** Tell how a node is coloured: as its kind unless somebody chose another kind's colour, or any, as `#rrggbb`. */
export function tintOf(node: Typed): Tint {
  const kind = kindOfNode(node).type;
  const chosen = textOf(node.data?.["color"]).trim();
  if (HEX.test(chosen)) {
    return { kind, own: chosen, isChosen: true };
  }
  return { kind: byType.has(chosen) ? chosen : kind, own: null, isChosen: byType.has(chosen) };
}

/** Give the class, beside another, and the style by which an element has a tint's colour. */
export function tinted(name: string, { kind, own }: Tint): { className: string; style?: CSSProperties } {
  return own === null ? { className: `${name} ${kind}` } : { className: `${name} own`, style: { "--own": own } as CSSProperties };
}

/** Say what a field is called, by its name. */
export function fieldLabel(name: string): string {
  const field = KINDS.flatMap(({ fields }) => fields).find((one) => one.name === name);
  return field?.label ?? name.charAt(0).toUpperCase() + name.slice(1);
}

/** Give a value as text to show in a line; `""` for none. */
export function textOf(value: unknown): string {
  if (typeof value === "string") {
    return value;
  }
  return value === undefined || value === null ? "" : JSON.stringify(value);
}

/** Say what a node is called. */
export function labelOf(node: Typed): string {
  return textOf(node.data?.["label"]) || `Untitled ${kindOfNode(node).name.toLowerCase()}`;
}
