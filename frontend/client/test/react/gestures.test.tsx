// @vitest-environment jsdom
/** Drags and resizes by which more than one node is moved or made larger, as React Flow tells of them. */

import type { Node, NodeChange } from "@xyflow/react";
import { act } from "react";
import { createRoot } from "react-dom/client";
import { expect, test } from "vitest";

import type { UseFlowResult } from "../../src/react/types";
import { useFlow } from "../../src/react/useFlow";
import type { JsonObject } from "../../src/types";
import { Desk, node } from "../desk";
import { rootsOfTests } from "../roots";

const roots = rootsOfTests();

/** A page before a group with two nodes in it, of which one makes it larger. */
async function opened() {
  const desk = new Desk();
  desk.server.edit({
    nodes: {
      g: { ...node("g"), position: { x: 100, y: 100 }, width: 300, height: 200 },
      a: { ...node("a"), position: { x: 10, y: 10 }, parentId: "g", expandParent: true },
      b: { ...node("b"), position: { x: 150, y: 50 }, parentId: "g" },
    },
  });
  let flow!: UseFlowResult;
  const Flow = (): null => {
    flow = useFlow("demo", { url: "http://helix.test", keeper: null, webSocket: desk.network.webSocket });
    return null;
  };
  const root = createRoot(document.createElement("div"));
  roots.push(root);
  act(() => {
    root.render(<Flow />);
  });
  const page = {
    flow: () => flow,
    node: (id: string): Node | undefined => flow.nodes.find((one) => one.id === id),
    change: (...changes: NodeChange[]): void => {
      act(() => {
        flow.onNodesChange(changes);
      });
    },
    pass: (ms: number): Promise<void> => act(() => desk.pass(ms)),
    moving: (): unknown => desk.server.heardEvents("cursor").at(-1)?.["moving"],
    patches: (): JsonObject[] => desk.sent.map(({ patch }) => patch["nodes"] as JsonObject),
  };
  await act(() => desk.until(() => flow.status.kind === "saved"));
  return { desk, page };
}

/** What React Flow tells when `a` is dragged over the left side of its group, `by` in all. */
function expanding(by: number, dragging: boolean): NodeChange[] {
  return [
    { type: "position", id: "a", position: { x: 0, y: 10 }, dragging },
    { type: "position", id: "g", position: { x: 100 - by, y: 100 } },
    { type: "position", id: "b", position: { x: 150 + by, y: 50 } },
    { type: "dimensions", id: "g", setAttributes: true, dimensions: { width: 300 + by, height: 200 } },
  ];
}

test("jsc12 a drag that makes a group larger is one change and one step of undo", async () => {
  const { desk, page } = await opened();
  for (let by = 10; by <= 80; by += 10) {
    page.change(...expanding(by, true));
    await page.pass(40);
  }
  expect(page.node("g")).toMatchObject({ position: { x: 20, y: 100 }, width: 380 });
  expect(page.node("b")?.position).toEqual({ x: 230, y: 50 });
  expect(page.moving()).toEqual({
    a: { x: 0, y: 10 },
    g: { x: 20, y: 100, width: 380, height: 200 },
    b: { x: 230, y: 50 },
  });
  expect(desk.sent).toEqual([]);
  page.change({ type: "position", id: "a", position: { x: 0, y: 10 }, dragging: false });
  await page.pass(2000);
  expect(page.patches()).toEqual([
    {
      a: { position: { x: 0, y: 10 }, parentId: "g" },
      g: { position: { x: 20, y: 100 }, parentId: null, width: 380, height: 200 },
      b: { position: { x: 230, y: 50 }, parentId: "g" },
    },
  ]);
  expect(page.moving()).toBeUndefined();
  act(() => {
    page.flow().undo();
  });
  expect(page.flow().canUndo).toBe(false);
  expect(page.node("g")).toMatchObject({ position: { x: 100, y: 100 }, width: 300 });
});

test("jsc12 a move by a key that makes a group larger is one change, too", async () => {
  const { page } = await opened();
  page.change(...expanding(8, false));
  page.change(...expanding(16, false));
  await page.pass(2000);
  expect(page.patches()).toEqual([
    {
      a: { position: { x: 0, y: 10 }, parentId: "g" },
      g: { position: { x: 84, y: 100 }, parentId: null, width: 316, height: 200 },
      b: { position: { x: 166, y: 50 }, parentId: "g" },
    },
  ]);
});

test("jsc12 what React Flow makes larger since it has measured something changes nothing", async () => {
  const { desk, page } = await opened();
  const [, ...larger] = expanding(40, false);
  page.change({ type: "dimensions", id: "a", dimensions: { width: 400, height: 30 } }, ...larger);
  await page.pass(2000);
  expect(desk.sent).toEqual([]);
  expect(page.node("a")?.measured).toEqual({ width: 400, height: 30 });
  expect(page.node("g")).toMatchObject({ position: { x: 100, y: 100 }, width: 300 });
  expect(page.node("b")?.position).toEqual({ x: 150, y: 50 });
});

test("jsc12 a resize is seen by others as it goes, place and size together", async () => {
  const { desk, page } = await opened();
  const resize = (by: number): void => {
    page.change(
      { type: "position", id: "g", position: { x: 100 - by, y: 100 - by } },
      {
        type: "dimensions",
        id: "g",
        resizing: true,
        setAttributes: true,
        dimensions: { width: 300 + by, height: 200 + by },
      },
      { type: "position", id: "a", position: { x: 10 + by, y: 10 + by } },
      { type: "position", id: "b", position: { x: 150 + by, y: 50 + by } },
    );
  };
  resize(8);
  resize(16);
  await page.pass(100);
  expect(page.moving()).toEqual({
    g: { x: 84, y: 84, width: 316, height: 216 },
    a: { x: 26, y: 26 },
    b: { x: 166, y: 66 },
  });
  expect(desk.sent).toEqual([]);
  page.change({ type: "dimensions", id: "g", resizing: false, dimensions: { width: 316, height: 216 } });
  await page.pass(2000);
  expect(page.patches()).toHaveLength(1);
  expect(desk.server.document.nodes["g"]).toMatchObject({ position: { x: 84, y: 84 }, width: 316, height: 216 });
  expect(desk.server.document.nodes["a"]?.position).toEqual({ x: 26, y: 26 });
  act(() => {
    page.flow().undo();
  });
  expect(page.flow().canUndo).toBe(false);
  expect(page.node("a")?.position).toEqual({ x: 10, y: 10 });
});

test("jsc12 what others resize is shown in their size, until they let go", async () => {
  const { desk, page } = await opened();
  const frame = (moving: JsonObject): Promise<void> => {
    desk.server.broadcast("cursors", { ben: { x: 0, y: 0, ...moving } });
    return page.pass(10);
  };
  await frame({ moving: { g: { x: 1, y: 2, width: 333, height: 222 }, b: { x: 3, y: 4 } } });
  expect(page.node("g")).toMatchObject({ position: { x: 1, y: 2 }, width: 333, height: 222 });
  expect(page.node("b")?.position).toEqual({ x: 3, y: 4 });
  const before = page.node("g");
  await frame({ moving: { g: { x: 1, y: 2, width: 333, height: 222 }, b: { x: 5, y: 4 } } });
  expect(page.node("g")).toBe(before);
  await frame({});
  expect(page.node("g")).toMatchObject({ position: { x: 100, y: 100 }, width: 300, height: 200 });
});

test("jsc12 a drag may end in another group by one change", async () => {
  const { desk, page } = await opened();
  page.change({ type: "position", id: "a", position: { x: -300, y: 10 }, dragging: true });
  await page.pass(100);
  const item = { ...(page.node("a") as Node), position: { x: -200, y: 110 }, parentId: undefined };
  page.change({ type: "replace", id: "a", item: item as unknown as Node });
  await page.pass(2000);
  expect(page.patches()).toEqual([{ a: { position: { x: -200, y: 110 }, parentId: null } }]);
  expect(desk.server.document.nodes["a"]).not.toHaveProperty("parentId");
  expect(page.node("a")).toMatchObject({ position: { x: -200, y: 110 } });
  expect(page.node("a")?.dragging).toBeUndefined();
  expect(page.moving()).toBeUndefined();
});

test("jsc12 a place that somebody is shown counts in the parent that the node had then", async () => {
  const { desk, page } = await opened();
  const frame = { ben: { x: 0, y: 0, moving: { a: { x: 350, y: 20 } } } };
  desk.server.broadcast("cursors", frame);
  await page.pass(10);
  expect(page.node("a")?.position).toEqual({ x: 350, y: 20 });
  desk.server.edit({ nodes: { a: { position: { x: 450, y: 120 }, parentId: null } } });
  await page.pass(10);
  expect(page.node("a")?.position).toEqual({ x: 450, y: 120 });
  desk.server.broadcast("cursors", { ben: { ...frame.ben, x: 5 } });
  await page.pass(10);
  expect(page.node("a")?.position).toEqual({ x: 450, y: 120 });
});

test("jsc12 what somebody deletes while one drags it isn't moved", async () => {
  const { desk, page } = await opened();
  page.change({ type: "position", id: "b", position: { x: 1, y: 1 }, dragging: true });
  desk.server.edit({ nodes: { b: null } });
  await page.pass(10);
  page.change({ type: "position", id: "b", position: { x: 2, y: 2 }, dragging: false });
  await page.pass(2000);
  expect(desk.sent).toEqual([]);
});
