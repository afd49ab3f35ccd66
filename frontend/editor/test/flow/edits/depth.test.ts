import type { FlowDocument, FlowNode } from "helix-flows";
import { describe, expect, it } from "vitest";

import { boxesOf, draw, piecesOf } from "../../../src/drawing";
import { arrangementOf } from "../../../src/flow/canvas/arrangement";
import { shownEdges, shownNodes } from "../../../src/flow/canvas/elements";
import { grouped, groupsFor, movedInto, movedOut, ungrouped } from "../../../src/flow/edits/grouping";
import { goingInto } from "../../../src/flow/edits/landing";
import { layoutPatch } from "../../../src/flow/edits/layout";
import { sent } from "../../../src/flow/edits/levels";
import { nudged } from "../../../src/flow/edits/nudging";
import { copyOf, partOf } from "../../../src/flow/edits/parts";
import { evenly, inLine, nextOf } from "../../../src/flow/edits/placing";
import { innermostAround, inOrder, outermost, placesIn, withInside } from "../../../src/nesting";

const DEPTH = 20_000;
const LAST = `n${DEPTH - 1}`;

/** Make nodes that lie in the one before each, with two in the innermost, and an edge from the first to each. */
function nested(more: object = {}): FlowDocument {
  const nodes = Array.from({ length: DEPTH }, (_, n): FlowNode => ({
    id: `n${n}`,
    position: { x: 1, y: 1 },
    data: {},
    ...(n === 0 ? {} : { parentId: `n${n - 1}`, ...more }),
  }));
  for (const id of ["left", "right"]) {
    nodes.push({ id, position: { x: id === "left" ? 0 : 400, y: 0 }, data: {}, parentId: LAST });
  }
  const edges = nodes.slice(1).map(({ id }) => ({ id: `e ${id}`, source: "left", target: id })).filter(({ target }) => target !== "left");
  return {
    title: "",
    description: "",
    viewport: { x: 0, y: 0, zoom: 1 },
    data: {},
    nodes: Object.fromEntries(nodes.map((node) => [node.id, node])),
    edges: Object.fromEntries(edges.map((edge) => [edge.id, edge])),
  };
}

const document = nested();
const ids = Object.keys(document.nodes);
const places = placesIn(document);
const boxes = boxesOf(document);

// Each of these once walked again from each node to the outermost, or into itself for each: seconds, or no stack left.
describe("edi57 of nodes in nodes, 20,000 deep", () => {
  it("is told where they lie, and what lies in what", () => {
    expect(places.get("left")).toEqual({ x: DEPTH, y: DEPTH, parent: LAST, level: DEPTH });
    expect(withInside(["n0"], places).size).toBe(ids.length);
    expect(outermost(ids, places)).toEqual(["n0"]);
    expect(innermostAround(["left", "right"], places)).toBe(LAST);
    expect(innermostAround(ids.slice(7), places)).toBe("n6");
    expect(innermostAround(["left", "n0"], places)).toBeUndefined();
  });

  it("is drawn on the canvas, in an export and at home", () => {
    const nodes = inOrder(document.nodes);
    expect(shownNodes(arrangementOf(nodes))).toHaveLength(ids.length);
    expect(shownEdges(inOrder(document.edges), document)).toHaveLength(ids.length - 2);
    expect(piecesOf(document, boxes, places)).toHaveLength(2 * ids.length - 2);
    const look = { color: () => "", icon: () => "", line: () => ({ path: "", x: 0, y: 0 }) };
    expect(draw(document, look).svg).toContain("</svg>");
  });

  it("is grouped and ungrouped, moved into groups and out of them", () => {
    expect(grouped(document, ["left", "right"])?.patch["nodes"]).toMatchObject({ left: {}, right: {} });
    const freed = ungrouped(document, ids);
    expect(freed?.ids.toSorted()).toEqual(["left", "right"]);
    expect(freed?.patch["nodes"]).toMatchObject({ right: { parentId: null, position: { x: DEPTH + 400, y: DEPTH } }, n7: null });
    expect(groupsFor(document, ["left"])).toHaveLength(DEPTH - 1);
    expect(movedInto(document, ["left"], "n0")["nodes"]).toMatchObject({ left: { parentId: "n0" } });
    expect(movedOut(document, ["left"])?.["nodes"]).toMatchObject({ left: { parentId: `n${DEPTH - 2}` } });
    expect(goingInto(document, new Map([["left", { x: -900, y: 0, width: 216, height: 62 }]])).get("left")).toBeUndefined();
  });

  it("is moved, brought in line and above each other, copied", () => {
    expect(nudged(document, ids, { x: 8, y: 0 }).ids).toEqual(["n0"]);
    expect(inLine(document, ids, "left")["nodes"]).toHaveProperty("right");
    expect(evenly(document, ids, "x")["nodes"]).toHaveProperty("n7");
    expect(nextOf(document, "left", "right")).toBe("right");
    expect(sent(document, ["n7"], "front")).toBeDefined();
    const copied = copyOf(document, partOf(document, ids, true), { x: 8, y: 8 });
    expect(Object.keys(copied.patch["nodes"] as object)).toHaveLength(ids.length);
  });

  it("grows with what is moved in it", () => {
    const growing = nested({ expandParent: true });
    const { patch } = nudged(growing, [LAST], { x: 9_000, y: -100 });
    const moved = patch["nodes"] as Record<string, { position: { x: number; y: number }; width?: number }>;
    expect(moved["n0"]).toMatchObject({ position: { x: 1 } });
    expect(moved["n0"]?.width).toBeGreaterThan(9_000);
    expect(Object.keys(moved)).toHaveLength(DEPTH);
  });

  it("is arranged", () => {
    const nodes = layoutPatch(document)["nodes"] as Record<string, object>;
    expect(Object.keys(nodes)).toHaveLength(ids.length);
    expect(nodes).toMatchObject({ n0: { position: { x: 0, y: 0 } }, left: { position: { x: 24, y: 56 } }, right: { position: { x: 336, y: 56 } } });
  });
});
