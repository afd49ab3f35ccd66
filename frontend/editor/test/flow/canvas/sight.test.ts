import type { Edge, Node } from "@xyflow/react";
import { describe, expect, it } from "vitest";

import { type Arrangement, arrangementOf } from "../../../src/flow/canvas/arrangement";
import { shownEdges, shownNodes } from "../../../src/flow/canvas/elements";
import { areaAround, givenIn } from "../../../src/flow/canvas/sight";

const AREA = { x: 0, y: 0, width: 1_000, height: 1_000 };

function node(id: string, x: number, y: number, more: Partial<Node> = {}): Node {
  return { id, position: { x, y }, data: {}, ...more };
}

function edge(source: string, target: string, more: Partial<Edge> = {}): Edge {
  return { id: `${source}>${target}`, source, target, ...more };
}

function given(nodes: Node[], edges: Edge[] = []): { whole: string[]; loose: string[]; edges: string[] } {
  const found = givenIn(arrangementOf(nodes), edges, AREA);
  return {
    whole: [...found.nodes].filter((id) => !found.loose.has(id)).toSorted(),
    loose: [...found.loose].toSorted(),
    edges: found.edges.map(({ id }) => id),
  };
}

describe("edi56 the area whose nodes are there", () => {
  const seen = { x: 100, y: 100, width: 400, height: 200 };

  it("goes beyond what is in sight, and stays until one looks elsewhere", () => {
    const area = areaAround(seen, null, false);
    expect(area).toEqual({ x: -100, y: 0, width: 800, height: 400 });
    expect(areaAround({ ...seen, x: 300, y: 200 }, area, false)).toBe(area);
    expect(areaAround({ ...seen, x: 301 }, area, false)).toEqual({ ...area, x: 101 });
  });

  it("is as small again when one looks closely", () => {
    const area = areaAround(seen, null, false);
    expect(areaAround({ ...seen, width: 200, height: 100 }, area, false)).toBe(area);
    expect(areaAround({ ...seen, width: 199, height: 100 }, area, false)).not.toBe(area);
  });

  it("only grows while a line is drawn", () => {
    const area = areaAround(seen, null, true);
    expect(areaAround({ ...seen, x: 1_100 }, area, true)).toEqual({ x: -100, y: 0, width: 1_800, height: 400 });
  });
});

describe("edi56 what React Flow is given of many nodes", () => {
  it("is what lies in the area, and what somebody holds", () => {
    const nodes = [node("in", 500, 500), node("partly", -100, 0), node("out", 2_000, 0)];
    expect(given(nodes).whole).toEqual(["in", "partly"]);
    for (const held of ["selected", "dragging", "resizing"]) {
      expect(given([...nodes, node("held", 9_000, 0, { [held]: true })]).whole).toEqual(["held", "in", "partly"]);
    }
  });

  it("is each edge that crosses the area or is selected, with both its nodes", () => {
    const nodes = [node("left", -900, 500), node("right", 1_500, 500), node("far", 9_000, 0), node("farther", 9_900, 0)];
    const edges = [edge("left", "right"), edge("right", "far"), edge("far", "farther"), edge("far", "gone")];
    expect(given(nodes, edges)).toEqual({ whole: [], loose: ["left", "right"], edges: ["left>right"] });
    const chosen = edges.map((one) => ({ ...one, selected: one.target === "farther" }));
    expect(given(nodes, chosen)).toEqual({ whole: [], loose: ["far", "farther", "left", "right"], edges: ["left>right", "far>farther"] });
  });

  it("is of what a node lies in no more than that one, which stands where it does", () => {
    const nodes = [
      node("outer", -9_000, 0, { width: 100, height: 100 }),
      node("middle", 100, 50, { parentId: "outer", width: 200, height: 100 }),
      node("inner", 9_000, 100, { parentId: "middle" }),
    ];
    const found = givenIn(arrangementOf(nodes), [], AREA);
    expect([...found.nodes].toSorted()).toEqual(["inner", "middle"]);
    const [middle, inner] = shownNodes(arrangementOf(nodes), found);
    expect(middle).toMatchObject({ id: "middle", position: { x: -8_900, y: 50 }, data: { "#group": true } });
    expect(middle).not.toHaveProperty("parentId");
    expect(inner).toMatchObject({ id: "inner", position: { x: 9_000, y: 100 }, parentId: "middle" });
  });

  it("is all between something that is held and what that carries into the area", () => {
    const nodes = [
      node("outer", -9_000, 0),
      node("held", 0, 0, { parentId: "outer", selected: true }),
      node("middle", 0, 0, { parentId: "held" }),
      node("inner", 9_000, 0, { parentId: "middle" }),
      node("beside", 0, 0, { parentId: "held" }),
    ];
    expect(given(nodes)).toMatchObject({ whole: ["held", "inner", "middle"], loose: ["outer"] });
  });

  it("is all in a group that a node there makes larger", () => {
    const nodes = [
      node("outer", -9_000, 0),
      node("group", 0, 0, { parentId: "outer" }),
      node("grows", 9_000, 0, { parentId: "group", expandParent: true }),
      node("beside", 0, 0, { parentId: "group" }),
      node("else", 0, 0, { parentId: "outer" }),
    ];
    expect(given(nodes)).toMatchObject({ whole: ["beside", "group", "grows"], loose: ["outer"] });
  });

  it("is where React Flow draws it: what is held in another never lies outside of it", () => {
    const nodes = [node("group", 0, 0, { width: 300, height: 200 }), node("held", 9_000, -9_000, { parentId: "group", extent: "parent" })];
    expect(arrangementOf(nodes).get("held")?.box).toEqual({ x: 84, y: 0, width: 216, height: 62 });
  });

  it("is made anew only where it is another", () => {
    const nodes = [node("group", 900, 900), node("inner", 9_000, 0, { parentId: "group" })];
    const arrangement = arrangementOf(nodes);
    const [before] = shownNodes(arrangement);
    expect(shownNodes(arrangement, givenIn(arrangement, [], AREA))).toEqual([before]);
    expect(shownNodes(arrangement, givenIn(arrangement, [], AREA))[0]).toBe(before);
  });
});

/** Count how often the fields of nodes and edges are read while React Flow's are made of them. */
function reads(count: number, isNested: boolean, make: (arrangement: Arrangement, edges: Edge[]) => unknown): number {
  let read = 0;
  const counted = <T extends object>(object: T): T =>
    new Proxy(object, {
      get: (target, name) => {
        read += 1;
        return Reflect.get(target, name) as unknown;
      },
    });
  const nodes = Array.from({ length: count }, (_, n) =>
    counted(node(`n${n}`, 24, 16, isNested && n > 0 ? { parentId: `n${n - 1}` } : {})),
  );
  const edges = Array.from({ length: count - 1 }, (_, n) => counted(edge(`n${n}`, `n${n + 1}`)));
  make(arrangementOf(nodes), edges);
  return read;
}

describe.each([true, false])("edi57 a chain, nested: %s", (isNested) => {
  it.each([
    ["all", (arrangement: Arrangement, edges: Edge[]) => [shownNodes(arrangement), shownEdges(edges, null)]],
    ["what is in sight", (arrangement: Arrangement, edges: Edge[]) => shownNodes(arrangement, givenIn(arrangement, edges, AREA))],
  ])("is read in proportion to its length: %s", (_, make) => {
    const [once, fourTimes] = [reads(2_000, isNested, make), reads(8_000, isNested, make)];
    expect(fourTimes).toBeLessThan(4.2 * once);
  });
});
