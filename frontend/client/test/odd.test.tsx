// @vitest-environment jsdom
/** What others write and say is read as something known, or as nothing. */

import fc from "fast-check";
import { act } from "react";
import { createRoot } from "react-dom/client";
import { describe, expect, test } from "vitest";

import { own } from "../src/model/mergepatch";
import { membersOf } from "../src/model/presence";
import type { UseFlowOptions, UseFlowResult } from "../src/react/types";
import { useFlow } from "../src/react/useFlow";
import type { JsonObject } from "../src/types";
import { Desk, node } from "./desk";
import { INHERITED, metas, ODD } from "./oddities";
import { rootsOfTests } from "./roots";

const roots = rootsOfTests();

function member(meta: JsonObject) {
  const [read] = membersOf([{ key: "ada", metas: [{ client_id: "c", ...meta }] }], "");
  return read;
}

/** Somebody opens a flow, in a component. */
async function open(desk: Desk, options: UseFlowOptions = {}): Promise<() => UseFlowResult> {
  let flow: UseFlowResult | undefined;
  const Flow = (): null => {
    flow = useFlow("demo", { url: "http://helix.test", keeper: null, webSocket: desk.network.webSocket, ...options });
    return null;
  };
  const root = createRoot(document.createElement("div"));
  roots.push(root);
  act(() => {
    root.render(<Flow />);
  });
  await act(() => desk.until(() => flow?.status.kind === "saved"));
  return () => flow as UseFlowResult;
}

describe("names that all objects have", () => {
  test.each(INHERITED)("jsc42 are those of no member: %s", (name) => {
    expect(own({}, name)).toBeUndefined();
    expect(own(JSON.parse(`{"${name}": 1}`) as JsonObject, name)).toBe(1);
  });

  test("jsc42 are ids, ends and parents like others", async () => {
    const desk = new Desk();
    const names = INHERITED.filter((name) => !["__proto__", "constructor"].includes(name));
    desk.server.edit({
      nodes: Object.fromEntries([...names, "n1"].map((id) => [id, node(id)])),
      edges: Object.fromEntries(names.map((id) => [id, { id, source: id, target: "n1" }])),
    });
    const flow = await open(desk);
    expect(flow().nodes.map(({ id }) => id)).toEqual([...names, "n1"].sort());
    expect(flow().edges.map(({ source }) => source)).toEqual([...names].sort());
    act(() => {
      flow().onNodesChange([{ type: "remove", id: "toString" }]);
    });
    await act(() => desk.pass(600));
    expect(own(desk.server.document.nodes, "toString")).toBeUndefined();
    expect(Object.keys(desk.server.document.nodes)).toHaveLength(names.length);
  });
});

describe("what useFlow shows", () => {
  const given = { style: "x", domAttributes: { onClick: "x" }, className: "mine" };

  test("jsc41 is sanitized, and what is in the document stays there", async () => {
    const desk = new Desk();
    desk.server.edit({ nodes: { n1: node("n1", given), n2: node("n2") }, edges: { e: { id: "e", source: "n1", target: "n2", label: {} } } });
    const flow = await open(desk);
    expect(flow().nodes[0]).toEqual({ ...node("n1"), className: "mine" });
    expect(flow().edges).toEqual([{ id: "e", source: "n1", target: "n2" }]);
    const [shown] = flow().nodes;
    act(() => {
      flow().onNodesChange([{ type: "replace", id: "n1", item: { ...shown, data: { label: "mine" } } as UseFlowResult["nodes"][number] }]);
    });
    await act(() => desk.pass(600));
    expect(desk.server.document.nodes["n1"]).toEqual({ ...node("n1", given), data: { label: "mine" } });
  });

  test("jsc41 is what an app makes of it, where it says so", async () => {
    const desk = new Desk();
    desk.server.edit({ nodes: { n1: node("n1", { own: 5 }) } });
    const flow = await open(desk, { sanitizeNode: (one) => one });
    expect(flow().nodes).toEqual([node("n1", { own: 5 })]);
  });
});

describe("what members say of themselves", () => {
  test.each([5, {}, true, null, "x"])("jsc43 no selection is %j", (selection) => {
    expect(member({ selection })?.meta).toEqual({});
  });

  test("jsc43 is known, or left out", () => {
    fc.assert(
      fc.property(metas, (given) => {
        const { name, color, meta } = member(given) ?? { name: "", color: "", meta: {} };
        expect(name).toMatch(/^[^\p{Cc}\u202a-\u202e]{1,255}$/u);
        expect(color).toMatch(/^[^;{}\\]+$/);
        expect((meta.selection ?? []).every((id) => typeof id === "string")).toBe(true);
        expect(meta.selected ?? 0).toBeGreaterThanOrEqual(0);
        expect(typeof (meta.editing ?? {})).toBe("object");
      }),
    );
    const meta = { name: "Ada", color: "#123456", selection: ["a"], selected: 3, editing: { node: "a" }, view: { x: 1 } };
    expect(member({ ...meta, selection: ["a", 5, null] })).toMatchObject({ name: "Ada", color: "#123456", meta });
    expect(member({ name: "\u202eadA\u0007 " })?.name).toBe("adA");
    expect(member({ name: "\u202e" })?.name).toBe("Somebody");
  });

  test("jsc43 no pointer is where nothing is, nor has nodes there", async () => {
    const desk = new Desk();
    const page = await desk.join();
    const said: [JsonObject | null, unknown][] = [
      ...ODD.map((x): [JsonObject, unknown] => [{ x, y: 0 }, Number.isSafeInteger(x) || x === 0.1 ? { x, y: 0 } : undefined]),
      ...ODD.filter((moving) => moving !== null).map((moving): [JsonObject, unknown] => [
        { x: 0, y: 0, moving: { a: moving, b: { x: 1, y: 2, width: moving } } },
        { x: 0, y: 0, moving: { b: { x: 1, y: 2, ...(moving === 5 || moving === 0.1 ? { width: moving } : {}) } } },
      ]),
      [{ x: 0, y: 0, moving: 5 }, { x: 0, y: 0 }],
      [{ x: 0, y: 0, moved: { x: "x" } }, { x: 0, y: 0 }],
    ];
    for (const [cursor, read] of said) {
      desk.server.broadcast("cursors", { ada: cursor });
      await desk.pass(5);
      expect(page.state.cursors.get("ada")).toEqual(read);
    }
    page.stop();
  });
});
