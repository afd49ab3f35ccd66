/**
 * Makes nodes and edges safe for React Flow.
 *
 * A document's elements may have any members, since every editor and program can write them. With some of these,
 * React Flow crashes the page (a `style` that is a text, a `type` that all objects inherit), or changes the
 * page's elements (`domAttributes`).
 */

import type { FlowEdge, FlowNode, JsonObject, Point } from "../types.js";
import {
  type Check, color, either, flag, isInherited, isNumber, isPoint, isText, number, object, oneOf, pair, readMembers, size, style,
  text,
} from "./checks.js";
import { isObject } from "./mergepatch.js";
import { without } from "./nesting.js";

/** An element's type: React Flow looks its component up as an object's member. Unknown types are drawn plainly. */
const type: Check<string> = (value) => (isText(value) && !isInherited(value) ? value : undefined);

const side = oneOf("left", "top", "right", "bottom");

const box: Check<[[number, number], [number, number]]> = (value) => {
  const [from, to] = Array.isArray(value) && value.length === 2 ? value.map(pair) : [];
  return from === undefined || to === undefined ? undefined : [from, to];
};

const NAME = "-?[a-z_][\\w-]*";
const COMPOUND = `(?:${NAME}|[.#]${NAME})(?:[.#]${NAME})*`;
const SELECTOR = new RegExp(`^${COMPOUND}(?:(?: | ?[,>] ?)${COMPOUND})*$`, "i");

/** A selector by names, classes and ids: an invalid one throws wherever it is used. */
const selector: Check<string> = (value) => (isText(value) && value.length <= 255 && SELECTOR.test(value) ? value : undefined);

const role: Check<string> = (value) => (isText(value) && /^[a-z]+$/.test(value) ? value : undefined);

const handle: Check<JsonObject> = (value) => {
  const read = isObject(value)
    ? readMembers(value, { id: text, type: oneOf("source", "target"), position: side, x: number, y: number, width: size, height: size })
    : {};
  return ["type", "position", "x", "y"].every((name) => Object.hasOwn(read, name)) ? read : undefined;
};

const handles: Check<JsonObject[]> = (value) => (Array.isArray(value) ? value.map(handle).filter((one) => one !== undefined) : undefined);

/** Members that nodes and edges share. */
const COMMON = {
  type,
  hidden: flag,
  selectable: flag,
  deletable: flag,
  focusable: flag,
  zIndex: number,
  className: text,
  style,
  ariaLabel: text,
  ariaRole: role,
  data: object,
};

const OF_NODES: Readonly<Record<string, Check<unknown>>> = {
  ...COMMON,
  parentId: text,
  extent: either(oneOf("parent"), box),
  expandParent: flag,
  draggable: flag,
  connectable: flag,
  dragHandle: selector,
  width: size,
  height: size,
  initialWidth: size,
  initialHeight: size,
  origin: pair,
  sourcePosition: side,
  targetPosition: side,
  handles,
};

/** A marker's id, which becomes a part of a style. */
const markerId: Check<string> = (value) => (isText(value) && /^[\w.:-]+$/.test(value) ? value : undefined);

const marker: Check<JsonObject> = (value) => {
  const read = isObject(value)
    ? readMembers(value, {
        type: oneOf("arrow", "arrowclosed"), color, width: size, height: size,
        markerUnits: oneOf("strokeWidth", "userSpaceOnUse"), orient: oneOf("auto", "auto-start-reverse"), strokeWidth: size,
      })
    : {};
  return Object.hasOwn(read, "type") ? read : undefined;
};

const label: Check<string | number> = (value) => (isText(value) || isNumber(value) ? value : undefined);

const OF_EDGES: Readonly<Record<string, Check<unknown>>> = {
  ...COMMON,
  sourceHandle: text,
  targetHandle: text,
  animated: flag,
  reconnectable: either(flag, oneOf("source", "target")),
  markerStart: either(markerId, marker),
  markerEnd: either(markerId, marker),
  interactionWidth: size,
  label,
  labelStyle: style,
  labelShowBg: flag,
  labelBgStyle: style,
  labelBgPadding: pair,
  labelBgBorderRadius: number,
  pathOptions: (value) =>
    isObject(value) ? readMembers(value, { offset: number, borderRadius: number, stepPosition: number, curvature: number }) : undefined,
};

/** Remove a label that React can't show: React Flow's own nodes, used for unknown types, show it as it is. */
function withLabel(data: JsonObject): JsonObject {
  return Object.hasOwn(data, "label") && label(data["label"]) === undefined ? without(data, "label") : data;
}

const ORIGIN: Point = { x: 0, y: 0 };

/**
 * Give a node with the members that React Flow documents, if they have the expected types. What would crash it,
 * or get into the page as it is, is left out. This doesn't check that the node of `parentId` exists: see
 * `strays`.
 */
export function sanitizeNode(node: JsonObject & { id: string }): FlowNode {
  const { id, position } = node;
  const read = readMembers(node, OF_NODES);
  const data = withLabel(object(read["data"]) ?? {});
  const { parentId, extent, ...rest } = read;
  const isInside = parentId !== undefined && parentId !== id;
  const isHeld = extent !== undefined && (isInside || extent !== "parent");
  return {
    ...rest,
    ...(isInside ? { parentId } : {}),
    ...(isHeld ? { extent } : {}),
    id,
    position: isPoint(position) ? position : ORIGIN,
    data,
  };
}

/** Give an edge of a document by the same rules. */
export function sanitizeEdge(edge: JsonObject & { id: string }): FlowEdge {
  const { id, source, target } = edge;
  return { ...readMembers(edge, OF_EDGES), id, source: text(source) ?? "", target: text(target) ?? "" };
}
