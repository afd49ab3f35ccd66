// @vitest-environment jsdom
/** What can't be told in JSON is refused with its path, to the caller, or as React Flow's. */

import type { Edge, Node } from "@xyflow/react";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { copyPatch } from "../../src/model/telling";
import { FlowController } from "../../src/react/controller";
import { FlowSync } from "../../src/sync/sync";
import type { JsonObject } from "../../src/types";
import { Desk, node, NODE } from "../desk";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.clearAllTimers();
  vi.useRealTimers();
});

const cycle: JsonObject = { a: {} };
cycle["b"] = cycle;

class Point {
  x = 1;
}

function nested(levels: number): unknown {
  return levels === 0 ? 1 : { a: nested(levels - 1) };
}

const untold: [name: string, value: unknown, message: string][] = [
  ["not a number", NaN, "/nodes/n1/data/x: NaN can't be told in JSON"],
  ["infinite", -Infinity, "/nodes/n1/data/x: -Infinity can't be told in JSON"],
  ["beyond 2^53", 2 ** 53 + 2, "/nodes/n1/data/x: 9007199254740994 is beyond 2^53"],
  ["a BigInt", 5n, "/nodes/n1/data/x: the BigInt 5 can't be told in JSON"],
  ["a function", () => 1, "/nodes/n1/data/x: a function can't be told in JSON"],
  ["a symbol", Symbol("s"), "/nodes/n1/data/x: a symbol can't be told in JSON"],
  ["undefined", [undefined], "/nodes/n1/data/x/0: undefined can't be told in JSON"],
  ["a date", new Date(0), "/nodes/n1/data/x: a Date can't be told in JSON"],
  ["a map", { "a/b": new Map() }, "/nodes/n1/data/x/a~1b: a Map can't be told in JSON"],
  ["bytes", [1, new Uint8Array(3)], "/nodes/n1/data/x/1: a Uint8Array can't be told in JSON"],
  ["an object of a class", new Point(), "/nodes/n1/data/x: a Point can't be told in JSON"],
  ["a cycle", cycle, "/nodes/n1/data/x/b: it lies in itself"],
  ["too deep", nested(29), "it nests deeper than 32"],
  [
    "a name that reaches a prototype",
    JSON.parse('{"~": {"__proto__": 1}}'),
    "/nodes/n1/data/x/~0/__proto__: no document may have a member of this name",
  ],
  ["constructor", { constructor: 1 }, "/nodes/n1/data/x/constructor: no document"],
];

function patchOf(x: unknown): JsonObject {
  return { nodes: { n1: { data: { x } } } };
}

describe("what can't be told in JSON", () => {
  test.each(untold)("jsc25 %s is refused to the caller with its path", async (_, value, message) => {
    const desk = new Desk();
    desk.server.edit({ nodes: { n1: NODE } });
    const ada = await desk.join();
    expect(() => {
      ada.patch(patchOf(value));
    }).toThrow(TypeError);
    expect(() => {
      ada.patch(patchOf(value));
    }).toThrow(message);
    expect(() => {
      ada.gather("x", patchOf(value));
    }).toThrow(message);
    expect(() => new FlowSync("demo", { initial: patchOf(value) })).toThrow(message);
    expect(ada.state.status.unsent).toBe(0);
    expect(desk.sent).toEqual([]);
  });

  test.each([
    ["/nodes/n1/type", { nodes: { n1: { type: 5 } } }],
    ["/nodes/n1/type", { nodes: { n1: { type: { toString: "x" } } } }],
    ["/nodes/n1/parentId", { nodes: { n1: { parentId: ["n2"] } } }],
    ["/edges/e1/type", { edges: { e1: { type: false } } }],
  ])("jsc25 %s is refused where it is no text", (path, patch) => {
    expect(() => copyPatch(patch)).toThrow(`${path}: it must be a string`);
  });

  test("jsc25 types and parents that are texts, or go, are told", () => {
    const patch = { nodes: { n1: { type: "x", parentId: null, data: { type: 5 } } }, edges: { e1: { type: null, parentId: 5 } } };
    expect(copyPatch(patch)).toEqual(patch);
  });

  test("jsc25 what can be is copied as it is", () => {
    const object = { a: [1, null, "x", { b: true }], c: -(2 ** 53), d: Object.create(null) as object };
    const shared = { nodes: { n1: { data: { one: object, other: object } } } };
    expect(copyPatch(shared)).toEqual(shared);
    expect(copyPatch(patchOf(nested(28)))).toEqual(patchOf(nested(28)));
  });

  test("jsc25 what React Flow leaves undefined is left out, but not in an app's data", () => {
    const style = { width: undefined };
    expect(copyPatch({ nodes: { n1: { width: undefined, style } } })).toEqual({
      nodes: { n1: { style: {} } },
    });
    expect(() => copyPatch(patchOf(undefined))).toThrow("/nodes/n1/data/x: undefined");
    expect(() => copyPatch({ title: undefined })).toThrow("/title: undefined");
  });
});

async function controlled(): Promise<{ desk: Desk; flow: FlowController<Node, Edge> }> {
  const desk = new Desk();
  desk.server.edit({
    nodes: { n1: { ...NODE, width: 100, data: { x: "old", y: 0, list: [1] } }, n2: node("n2") },
  });
  const sync = await desk.join();
  const flow = new FlowController<Node, Edge>(sync);
  flow.onNodesChange([]);
  return { desk, flow };
}

describe("what React Flow says that can't be told", () => {
  test.each(untold)("jsc26 %s is told with its path, and the rest is done", async (_, x, message) => {
    const { desk, flow } = await controlled();
    const [n1, n2] = flow.shown.nodes as [Node, Node];
    flow.onNodesChange([
      { type: "replace", id: "n1", item: { ...n1, data: { ...n1.data, x, y: 1 } } },
      { type: "replace", id: "n2", item: { ...n2, data: { z: 2 } } },
      { type: "add", item: { id: "n3", position: { x: 1, y: 2 }, data: { x, y: 3 } } },
    ]);
    flow.onEdgesChange([{ type: "add", item: { id: "e", source: "n1", target: "n3", data: { x } } }]);
    const { refusals, document } = flow.sync.state;
    expect(refusals).toHaveLength(2);
    expect(refusals[0]).toMatchObject({ code: "invalid_patch" });
    expect(refusals[0]?.reason).toContain(message);
    expect(refusals[1]?.reason).toContain("/edges/e/data/x");
    await desk.until(() => flow.sync.state.status.kind === "saved");
    expect(document?.nodes).toMatchObject({
      n1: { data: { x: expect.anything() as unknown, y: 1 } },
      n2: { data: { z: 2 } },
      n3: { position: { x: 1, y: 2 }, data: { y: 3 } },
    });
    expect(desk.server.document.edges).toHaveProperty("e");
  });

  test("jsc26 what stood where something can't be told stays, also in an array", async () => {
    const { flow } = await controlled();
    const [n1] = flow.shown.nodes as [Node];
    const data = { x: NaN, y: 1, list: [1, undefined] };
    flow.onNodesChange([{ type: "replace", id: "n1", item: { ...n1, data } }]);
    expect(flow.sync.state.document?.nodes["n1"]?.data).toEqual({ x: "old", y: 1, list: [1] });
    const { reason } = flow.sync.state.refusals[0] ?? {};
    expect(reason).toBe("/nodes/n1/data/x: NaN can't be told in JSON (and 1 more)");
  });

  test("jsc26 what React Flow itself can't measure is left as it was, and not told", async () => {
    const { flow } = await controlled();
    const [n1] = flow.shown.nodes as [Node];
    const data = { x: undefined, y: 0, list: [1] };
    const item = { ...n1, width: NaN, zIndex: 3, hidden: undefined, data } as unknown as Node;
    flow.onNodesChange([{ type: "replace", id: "n1", item }]);
    expect(flow.sync.state.refusals).toEqual([]);
    expect(flow.sync.state.document?.nodes["n1"]).toEqual({
      ...NODE,
      width: 100,
      zIndex: 3,
      data: { y: 0, list: [1] },
    });
  });

  test("jsc26 a node of a name that no document may have holds no other back", async () => {
    const { flow } = await controlled();
    flow.onNodesChange(
      ["constructor", "n3"].map((id) => ({ type: "add", item: node(id) as unknown as Node })),
    );
    expect(Object.keys(flow.sync.state.document?.nodes ?? {})).toEqual(["n1", "n2", "n3"]);
    expect(flow.sync.state.refusals[0]?.reason).toContain("/nodes/constructor: no document");
  });
});
