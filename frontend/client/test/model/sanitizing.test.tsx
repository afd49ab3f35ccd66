// @vitest-environment jsdom
/** Whatever a document holds, React Flow shows it. */

import { ReactFlow } from "@xyflow/react";
import fc from "fast-check";
import { act } from "react";
import { createRoot } from "react-dom/client";
import { beforeEach, describe, expect, test, vi } from "vitest";

import { sanitizeEdge, sanitizeNode } from "../../src/model/sanitizing";
import type { JsonObject } from "../../src/types";
import { node } from "../desk";
import { edgeFields, INHERITED, nodeFields, odd } from "../oddities";
import { rootsOfTests } from "../roots";

rootsOfTests();

beforeEach(() => {
  vi.stubGlobal("ResizeObserver", class {
    observe = () => undefined;
    unobserve = () => undefined;
    disconnect = () => undefined;
  });
  // jsdom lays nothing out.
  Object.assign(SVGElement.prototype, { getBBox: () => ({ x: 0, y: 0, width: 0, height: 0 }) });
  // It tells of types that it doesn't know.
  vi.spyOn(console, "warn").mockReturnValue(undefined);
});

const HANDLES = [{ type: "source", position: "right", x: 0, y: 0 }, { type: "target", position: "left", x: 0, y: 0 }];
const EDGE = { id: "e", source: "a", target: "b" };

/** Show nodes a and b, the edge between them, and a node n, and tell what there is to see. */
function show(fields: JsonObject, edgeFieldsGiven: JsonObject = {}): (string | null)[] {
  const page = document.createElement("div");
  const root = createRoot(page);
  const sized = { width: 10, height: 10, handles: HANDLES };
  const nodes = [node("a", sized), node("b", sized), node("n", { ...fields, ...sized })].map((one) => sanitizeNode(one as JsonObject & { id: string }));
  const edges = [sanitizeEdge({ ...edgeFieldsGiven, ...EDGE })];
  act(() => {
    root.render(<ReactFlow nodes={nodes} edges={edges} />);
  });
  const seen = [...page.querySelectorAll(".react-flow__node, .react-flow__edge")].map((one) => one.getAttribute("data-id"));
  const elements = page.querySelectorAll("script, iframe, img, [onclick]");
  act(() => {
    root.unmount();
  });
  expect(elements).toHaveLength(0);
  return seen.sort();
}

describe("sanitized nodes and edges", () => {
  test("jsc41 React Flow fails by none, whatever other programs write", () => {
    fc.assert(
      fc.property(nodeFields, edgeFields, odd, (ofNode, ofEdge, label) => {
        // It draws no edge from a handle that a node doesn't have.
        const { sourceHandle, targetHandle, ...rest } = ofEdge;
        show({ ...ofNode, data: { label } }, { sourceHandle, targetHandle });
        const hidden = [ofNode["hidden"] === true ? "n" : "", rest["hidden"] === true ? "e" : ""];
        expect(show(ofNode, rest)).toEqual(["a", "b", "e", "n"].filter((id) => !hidden.includes(id)));
      }),
      { numRuns: 60 },
    );
  });

  test.each<[string, JsonObject]>([
    ["a style that is a text", { style: "x" }],
    ["a style of names that are none of CSS", { style: { setProperty: "x", length: 5, cssText: "x", 0: "x" } }],
    ["an extent that is none", { extent: 5 }],
    ["an extent of one point", { extent: [[0]] }],
    ["attributes of the page's element", { domAttributes: { dangerouslySetInnerHTML: { __html: "<b>x" } } }],
    ["handles that are none", { handles: [5] }],
    ["a selector that is none", { dragHandle: "[[[" }],
    ["a size in words", { width: "wide" }],
    ["a class name that is none", { className: {} }],
    ["a measure of somebody else's", { measured: { width: 5 }, dragging: true, resizing: true, selected: true }],
    ["itself for a parent", { parentId: "n" }],
    ["a hold in no parent", { extent: "parent" }],
  ])("jsc41 a node has nothing of %s", (_, given) => {
    const { id, position, data, ...rest } = sanitizeNode({ ...node("n"), ...given, id: "n" });
    expect([id, position, data, Object.values(rest).flatMap((one) => Object.values(one as JsonObject))]).toEqual(["n", { x: 0, y: 0 }, {}, []]);
  });

  test("jsc41 a node's label is text, and the rest of its data is the app's", () => {
    const data = { label: { x: 1 }, other: { label: {} } };
    expect(sanitizeNode({ ...node("n"), id: "n", data }).data).toEqual({ other: { label: {} } });
    expect(sanitizeNode({ ...node("n"), id: "n", data: { label: 5 } }).data).toEqual({ label: 5 });
  });

  test.each<[string, JsonObject]>([
    ["a label that is no text", { label: {} }],
    ["markers that are none", { markerStart: {}, markerEnd: "a) url(//x" }],
    ["a path's options that are none", { pathOptions: 5 }],
    ["attributes of the page's element", { domAttributes: { dangerouslySetInnerHTML: { __html: "<b>x" } } }],
  ])("jsc41 an edge has nothing of %s", (_, given) => {
    expect(sanitizeEdge({ ...EDGE, ...given })).toEqual(EDGE);
  });

  test.each(INHERITED)("jsc41 no element has the type that all objects have: %s", (type) => {
    expect([sanitizeNode({ ...node("n"), id: "n", type })["type"], sanitizeEdge({ ...EDGE, type })["type"]]).toEqual([undefined, undefined]);
  });

  test("jsc41 a style loads nothing", () => {
    const style = {
      color: "var(--text)", width: 200, border: "1px solid rgb(1 2 3 / 50%)", background: "linear-gradient(red, blue)", "--own": "#123",
    };
    const loading = {
      backgroundImage: "url(//elsewhere.test)", content: "U\\52L(//elsewhere.test)", cursor: "-webkit-image-set('//elsewhere.test' 1x)",
      mask: "image-set('//elsewhere.test' 1x)", color2: {}, "background-image": "URL(x)", fill: "red;background:blue",
    };
    expect(sanitizeNode({ ...node("n"), id: "n", style: { ...style, ...loading } })["style"]).toEqual(style);
  });

  test("jsc41 what React Flow documents stays", () => {
    const ofNode = {
      type: "agent", parentId: "a", extent: "parent", expandParent: true, className: "x y", style: { color: "red" }, zIndex: -3, hidden: false,
      draggable: false, selectable: true, connectable: true, deletable: false, focusable: true, dragHandle: "div.grip > .handle, #x", width: 1,
      height: 2.5, initialWidth: 3, initialHeight: 4, origin: [0.5, 1], sourcePosition: "top", targetPosition: "bottom", handles: HANDLES,
      ariaLabel: "x", ariaRole: "button", data: { any: [{ thing: null }] },
    };
    expect(sanitizeNode({ ...node("n"), ...ofNode, id: "n" })).toEqual({ ...node("n"), ...ofNode });
    const box = [[0, 0], [1, 2]];
    expect(sanitizeNode({ ...node("n"), id: "n", extent: box })).toEqual({ ...node("n"), extent: box });
    const ofEdge = {
      type: "step", sourceHandle: "x", targetHandle: "y", animated: true, hidden: false, selectable: true, deletable: true, focusable: false,
      reconnectable: "source", markerStart: "arrow", markerEnd: { type: "arrowclosed", color: "#123", width: 18, height: 18 }, zIndex: 2,
      interactionWidth: 30, label: "x", labelStyle: { fontSize: 12 }, labelShowBg: true, labelBgStyle: { fill: "red" }, labelBgPadding: [1, 2],
      labelBgBorderRadius: 3, pathOptions: { offset: 5, borderRadius: 2 }, style: { stroke: "red" }, className: "x", ariaLabel: "x", data: {},
    };
    expect(sanitizeEdge({ ...EDGE, ...ofEdge })).toEqual({ ...EDGE, ...ofEdge });
  });
});
