/**
 * The ten kinds of nodes: what they are called, look like, and hold. What they hold stands in `helix/data/kinds.json`, from which
 * forms, the palette, search and what is read aloud are made.
 */

import { own } from "helix-flows";
import {
  ArrowRightFromLine, ArrowRightToLine, Bot, Braces, Database, Diamond, type LucideIcon, Radio, Repeat,
  SlidersHorizontal, Square, Zap,
} from "lucide-react";
import type { CSSProperties } from "react";

import data from "../../../helix/data/kinds.json";

/**
 * How a field is edited: `list` one a line, `json` as it is written there, `switch` yes or no, `links` nodes of the flow.
 * The words that one chooses among stand there themselves.
 */
export type FieldForm = "line" | "text" | "code" | "number" | "list" | "json" | "switch" | "links" | readonly string[];

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
  /** Numbers are whole. */
  isWhole?: boolean;
  /** What one often writes there. */
  suggestions?: readonly string[];
  /** What counts while there is nothing. */
  fallback?: unknown;
  /** What it is for, in a sentence. */
  help?: string;
  /** The kinds of the nodes that links lead to. */
  kinds?: readonly string[];
}

/** Fields under a heading; those without one are always in sight. */
export interface FieldGroup {
  title: string;
  fields: readonly Field[];
}

export interface Kind {
  type: string;
  name: string;
  icon: LucideIcon;
  /** The heading of the palette under which it is. */
  category: string;
  /** What a node of it does, in a few words. */
  about: string;
  groups: readonly FieldGroup[];
  /** All fields of the groups. */
  fields: readonly Field[];
  /** The field that tells most about a node, beside its label. */
  telling: string;
}

/** A field as the file has it. */
interface Listed {
  name: string;
  label: string;
  type: string;
  options?: Readonly<Record<string, string>>;
  suggestions?: readonly string[];
  min?: number;
  max?: number;
  step?: number;
  default?: unknown;
  help?: string;
  kinds?: readonly string[];
}

const ICONS: Readonly<Record<string, LucideIcon>> = {
  agent: Bot, sensor: Radio, skill: Zap, decision: Diamond, input: ArrowRightToLine, output: ArrowRightFromLine,
  memory: Database, loop: Repeat, transform: SlidersHorizontal, api: Braces,
};

const FORMS: Readonly<Record<string, FieldForm>> = {
  text: "line", prompt: "text", number: "number", switch: "switch", json: "json", code: "code", list: "list", links: "links",
};

function fieldOf({ name, label, type, options, suggestions, min, max, step, default: fallback, help, kinds }: Listed): Field {
  return {
    name,
    label,
    form: options === undefined ? (own(FORMS, type) ?? "json") : Object.keys(options),
    ...(options === undefined ? {} : { names: new Map(Object.entries(options)) }),
    ...(type === "number" ? { isOptional: true, range: [min ?? -Number.MAX_SAFE_INTEGER, max ?? Number.MAX_SAFE_INTEGER], isWhole: step === 1 } : {}),
    ...(suggestions === undefined ? {} : { suggestions }),
    ...(fallback === undefined ? {} : { fallback }),
    ...(help === undefined ? {} : { help }),
    ...(kinds === undefined ? {} : { kinds }),
  };
}

/** The headings of the palette, in its order. */
export const CATEGORIES: readonly string[] = data.categories;

export const KINDS: readonly Kind[] = data.kinds.map(({ groups: listed, ...kind }) => {
  const groups = listed.map(({ title, fields }) => ({ title, fields: (fields as readonly Listed[]).map(fieldOf) }));
  return { ...kind, icon: own(ICONS, kind.type) ?? Square, groups, fields: groups.flatMap(({ fields }) => fields) };
});

const OTHER: Kind = { type: "other", name: "Node", icon: Square, category: "", about: "", groups: [], fields: [], telling: "" };

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

/** Say of what kind a node is; one that is for others to lie in is a group, where it is of none. */
export function kindName(node: Typed, isGroup: boolean): string {
  const kind = kindOfNode(node);
  return isGroup && kind === OTHER ? "Group" : kind.name;
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

/** A colour, as it is kept. */
export const HEX = /^#(?:[\da-f]{3}|[\da-f]{6})$/i;

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

/** Say what a field is called, by its name; of kinds that call it differently, as one of them does. */
export function fieldLabel(name: string): string {
  const field = KINDS.flatMap(({ fields }) => fields).find((one) => one.name === name);
  return field?.label ?? name.charAt(0).toUpperCase() + name.slice(1);
}

/** Tell whether a value is what a field is made for: other programs write anything. */
function isFitting(form: FieldForm, value: unknown): boolean {
  const isWords = Array.isArray(value) && value.every((one) => typeof one === "string");
  switch (form) {
    case "json": return true;
    case "number": return typeof value === "number" || typeof value === "string";
    case "switch": return typeof value === "boolean";
    case "list": case "links": return isWords;
    default: return typeof value === "string";
  }
}

/** Give a field as it is edited where it holds that: what is of another type than is expected is edited as it is. */
export function fieldFor(field: Field, value: unknown): Field {
  if (value === undefined || isFitting(field.form, value)) {
    return field;
  }
  const { name, label, help } = field;
  return { name, label, form: "json", ...(help === undefined ? {} : { help }) };
}

/** Say in words what a node holds, to be found by: its fields' labels, and what is in them as it is shown. */
export function wordsOf(node: Typed): string {
  const fields = new Map(kindOfNode(node).fields.map((field) => [field.name, field]));
  const words = Object.entries(node.data ?? {}).map(([name, value]) => {
    const field = fields.get(name);
    const text = textOf(value);
    return [name, field?.label, field?.names?.get(text), text].filter(Boolean).join(" ");
  });
  return words.join("\n");
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
