/**
 * The ten kinds of nodes: their names, icons and fields. `helix/data/kinds.json` lists the fields. Forms, the palette,
 * search and screen reader texts are made from it.
 */

import { own } from "helix-flows";
import {
  ArrowRightFromLine, ArrowRightToLine, Bot, Braces, Database, Diamond, type LucideIcon, Radio, Repeat,
  SlidersHorizontal, Square, Zap,
} from "lucide-react";
import type { CSSProperties } from "react";

import data from "../../../helix/data/kinds.json";

/**
 * How a field is edited: `list` one item per line, `json` as JSON, `switch` yes or no, `links` nodes of the flow.
 * For a choice, the options themselves.
 */
export type FieldForm = "line" | "text" | "code" | "number" | "list" | "json" | "switch" | "links" | readonly string[];

export interface Field {
  name: string;
  label: string;
  form: FieldForm;
  /** The options' names, if they differ from the options. */
  names?: ReadonlyMap<string, string>;
  /** The field may be left empty. */
  isOptional?: boolean;
  /** The least and the greatest number. */
  range?: readonly [number, number];
  /** Numbers are whole. */
  isWhole?: boolean;
  /** Common values. */
  suggestions?: readonly string[];
  /** The default for an empty field. */
  fallback?: unknown;
  /** Its purpose, in a sentence. */
  help?: string;
  /** The kinds of the nodes that links lead to. */
  kinds?: readonly string[];
}

/** Fields under a heading; those without a heading are always visible. */
export interface FieldGroup {
  title: string;
  fields: readonly Field[];
}

export interface Kind {
  type: string;
  name: string;
  icon: LucideIcon;
  /** Its heading in the palette. */
  category: string;
  /** What a node of it does, in a few words. */
  about: string;
  groups: readonly FieldGroup[];
  /** All fields of the groups. */
  fields: readonly Field[];
  /** The field that says most about a node, besides its label. */
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

/** Give the kind of a type; a plain one for an unknown type. */
export function kindOf(type: string | undefined): Kind {
  return byType.get(type ?? "") ?? OTHER;
}

/** The fields that say a node's kind: its type, or the data of the first generation of clients. */
interface Typed {
  type?: unknown;
  data?: Record<string, unknown>;
}

/** The type of all nodes of the first generation of clients. */
const OLD_TYPE = "aiFlowNode";

/** Tell whether a node's kind is in its data, as in the first generation of clients. */
export function hasKindInData({ type, data }: Typed): boolean {
  return !byType.has(textOf(type)) && (type === OLD_TYPE || byType.has(textOf(data?.["type"])));
}

/** Give the kind of a node. */
export function kindOfNode(node: Typed): Kind {
  return kindOf(textOf(hasKindInData(node) ? node.data?.["type"] : node.type));
}

/** Give the name of a node's kind; a group without a kind is a "Group". */
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
  /** Whether somebody has chosen it. */
  isChosen: boolean;
}

/** A colour, as it is stored. */
export const HEX = /^#(?:[\da-f]{3}|[\da-f]{6})$/i;

/** Give a node's colour: its kind's, unless somebody chose another kind's colour or any `#rrggbb`. */
export function tintOf(node: Typed): Tint {
  const kind = kindOfNode(node).type;
  const chosen = textOf(node.data?.["color"]).trim();
  if (HEX.test(chosen)) {
    return { kind, own: chosen, isChosen: true };
  }
  return { kind: byType.has(chosen) ? chosen : kind, own: null, isChosen: byType.has(chosen) };
}

/** Give the class names and the style that give an element a tint's colour. */
export function tinted(name: string, { kind, own }: Tint): { className: string; style?: CSSProperties } {
  return own === null ? { className: `${name} ${kind}` } : { className: `${name} own`, style: { "--own": own } as CSSProperties };
}

/** Give a field's label by its name. If kinds use different labels, one of them. */
export function fieldLabel(name: string): string {
  const field = KINDS.flatMap(({ fields }) => fields).find((one) => one.name === name);
  return field?.label ?? shortOf(name.charAt(0).toUpperCase() + name.slice(1));
}

/** Tell whether a value fits a field: other programs may write anything. */
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

/** Give the field to edit a value with: a value of an unexpected type is edited as JSON. */
export function fieldFor(field: Field, value: unknown): Field {
  if (value === undefined || isFitting(field.form, value)) {
    return field;
  }
  const { name, label, help } = field;
  return { name, label, form: "json", ...(help === undefined ? {} : { help }) };
}

/** Give the words that a node is found by: its fields' labels and their shown values. */
export function wordsOf(node: Typed): string {
  const fields = new Map(kindOfNode(node).fields.map((field) => [field.name, field]));
  const words = Object.entries(node.data ?? {}).map(([name, value]) => {
    const field = fields.get(name);
    const text = textOf(value);
    return [name, field?.label, field?.names?.get(text), text].filter(Boolean).join(" ");
  });
  return words.join("\n");
}

/** Write a value as one line of text; `""` for none. */
export function textOf(value: unknown): string {
  if (typeof value === "string") {
    return value;
  }
  return value === undefined || value === null ? "" : JSON.stringify(value);
}

/** The most characters of a text that are shown where only its beginning is: an edge's name has two labels, and a node may have any number of edges. */
const MOST_SHOWN = 300;

/** Write the beginning of a value as one line of text; `""` for none. */
export function shortOf(value: unknown): string {
  const text = textOf(value);
  return text.length <= MOST_SHOWN ? text : `${Array.from(text.slice(0, MOST_SHOWN)).slice(0, -1).join("")}…`;
}

/** Give a node's label, or its beginning if it is long. */
export function labelOf(node: Typed): string {
  return shortOf(node.data?.["label"]) || `Untitled ${kindOfNode(node).name.toLowerCase()}`;
}
