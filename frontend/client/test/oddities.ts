/** What other programs may write where something else is expected. */

import fc from "fast-check";

/** Names that all objects have, whatever is in them. */
export const INHERITED = Object.getOwnPropertyNames(Object.prototype);

const LONG = "x".repeat(10_000);

/** Values of every type, and texts that mean something to JavaScript, CSS or HTML. */
export const ODD: readonly unknown[] = [
  0, -1, 5, Infinity, -Infinity, 1e300, 0.1, true, false, "", "x", "5", "auto", LONG, "\u0000\u0007", "\u202eevil", "\ud800", "<b>x</b>",
  "[[[", "#\"'>", "a\"]b", "url(//elsewhere.test/x)", "u\\72l(//elsewhere.test/x)", "red;position:fixed", [], [0], [[0]],
  [[0, 0], [1]], [null], ["x", 5], {}, { x: {} }, { length: 5 }, { setProperty: "x", cssText: "x", color: {}, "--x": [] },
  { dangerouslySetInnerHTML: { __html: "<b>x" } }, { style: "x", onClick: "x" }, { type: {} }, { type: "valueOf", color: "url(//x)" },
  ...INHERITED,
];

const NODE_FIELDS = [
  "type", "parentId", "extent", "expandParent", "style", "className", "domAttributes", "measured", "handles", "origin", "zIndex", "hidden",
  "selected", "dragging", "resizing", "draggable", "selectable", "connectable", "deletable", "focusable", "dragHandle", "width", "height",
  "initialWidth", "initialHeight", "sourcePosition", "targetPosition", "ariaLabel", "ariaRole", "internals", "onClick", "ref", "key",
];

const EDGE_FIELDS = [
  "type", "sourceHandle", "targetHandle", "style", "className", "domAttributes", "animated", "hidden", "selected", "selectable", "deletable",
  "focusable", "reconnectable", "markerStart", "markerEnd", "zIndex", "ariaLabel", "ariaRole", "interactionWidth", "label", "labelStyle",
  "labelShowBg", "labelBgStyle", "labelBgPadding", "labelBgBorderRadius", "pathOptions", "data", "children",
];

export const odd = fc.constantFrom(...ODD);

/** Make members of such values by some names. */
const fields = (names: readonly string[]): fc.Arbitrary<Record<string, unknown>> =>
  fc.dictionary(fc.constantFrom(...names), odd, { minKeys: 1, maxKeys: 6, noNullPrototype: true });

export const nodeFields = fields(NODE_FIELDS);
export const edgeFields = fields(EDGE_FIELDS);

/** What somebody may say of themselves. */
export const metas = fields(["name", "color", "selection", "selected", "editing", "view", "following", ...INHERITED]);
