// @vitest-environment jsdom
/** What others drag, as one sees it: for how long, and that it is theirs alone to write. */

import type { Node, NodeChange } from "@xyflow/react";
import { act } from "react";
import { createRoot } from "react-dom/client";
import { expect, test, vi } from "vitest";

import { PATIENCE, Previews, RENEWAL } from "../../src/react/previews";
import type { UseFlowResult } from "../../src/react/types";
import { useFlow } from "../../src/react/useFlow";
import { FlowView } from "../../src/react/view";
import type { Cursor, JsonObject } from "../../src/types";
import { Desk, node } from "../desk";
import { rootsOfTests } from "../roots";

const roots = rootsOfTests();

/** A page before nodes, two unless told otherwise. */
async function opened(nodes: JsonObject = { a: node("a"), b: node("b") }) {
  const desk = new Desk();
  desk.server.document = { ...desk.server.document, nodes: nodes as never };
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
    node: (id: string): Node => flow.nodes.find((one) => one.id === id) as Node,
    at: (id: string): unknown => flow.nodes.find((one) => one.id === id)?.position,
    change: (...changes: NodeChange[]): void => {
      act(() => {
        flow.onNodesChange(changes);
      });
    },
    drag: (x: number, dragging: boolean): void => {
      page.change({ type: "position", id: "a", position: { x, y: 0 }, dragging });
    },
    pass: (ms: number): Promise<void> => act(() => desk.pass(ms)),
    told: (): JsonObject => desk.server.heardEvents("cursor").at(-1) ?? {},
    patches: (): JsonObject[] => desk.sent.map(({ patch }) => patch["nodes"] as JsonObject),
    /** Let Ben have a node somewhere. */
    ben: async (moving: Record<string, JsonObject> | undefined): Promise<void> => {
      desk.server.broadcast("cursors", { ben: { x: 0, y: 0, ...(moving === undefined ? {} : { moving }) } });
      await page.pass(10);
    },
  };
  await act(() => desk.until(() => flow.status.kind === "saved"));
  return { desk, page };
}

test("jsc12 what isn't said again is shown no more, and what is said again goes on", async () => {
  const { page } = await opened();
  await page.ben({ a: { x: 3, y: 4, width: 50 } });
  expect(page.node("a")).toMatchObject({ position: { x: 3, y: 4 }, width: 50 });
  await page.pass(PATIENCE - 1_000);
  await page.ben({ a: { x: 3, y: 4, width: 50 } });
  await page.pass(PATIENCE - 1_000);
  expect(page.at("a")).toEqual({ x: 3, y: 4 });
  await page.pass(1_000);
  expect(page.node("a")).toEqual(node("a"));
});

test("jsc12 who drags says so again, and nothing more once it is dropped", async () => {
  const { desk, page } = await opened();
  page.drag(5, true);
  await page.pass(3 * RENEWAL + 100);
  expect(desk.server.heardEvents("cursor").filter(({ moving }) => moving !== undefined)).toHaveLength(4);
  page.drag(6, false);
  await page.pass(1_000);
  const { length } = desk.server.heardEvents("cursor");
  await page.pass(10 * RENEWAL);
  expect(desk.server.heardEvents("cursor")).toHaveLength(length);
  expect(page.told()).toEqual({});
});

test("jsc12 a newer drop counts, whoever's it is, until the other moves on", async () => {
  const { desk, page } = await opened();
  await page.ben({ a: { x: 3, y: 4 } });
  desk.server.edit({ nodes: { a: { position: { x: 50, y: 60 } } } });
  await page.pass(10);
  expect(page.at("a")).toEqual({ x: 50, y: 60 });
  await page.ben({ a: { x: 3, y: 4 } });
  expect(page.at("a")).toEqual({ x: 50, y: 60 });
  await page.ben({ a: { x: 8, y: 4 } });
  expect(page.at("a")).toEqual({ x: 8, y: 4 });
  page.drag(20, true);
  page.drag(21, false);
  expect(page.at("a")).toEqual({ x: 21, y: 0 });
  await page.pass(1_000);
  expect(page.at("a")).toEqual({ x: 21, y: 0 });
  desk.server.edit({ nodes: { a: { data: { label: "x" } } } });
  await page.ben({ a: { x: 9, y: 4 } });
  desk.server.edit({ nodes: { a: { data: { label: "y" } } } });
  await page.pass(10);
  expect(page.at("a")).toEqual({ x: 9, y: 4 });
});

test("jsc12 of two who drag one node, who moved last is shown", () => {
  const previews = new Previews();
  const cursor = (x: number): Cursor => ({ x: 0, y: 0, moving: { a: { x, y: 0 } } });
  const at = (cursors: [string, Cursor][], now: number): unknown => previews.take({}, new Map(cursors), now).get("a");
  const eve = cursor(2);
  expect(at([["ben", cursor(1)], ["eve", eve]], 1)).toEqual({ x: 2, y: 0 });
  expect(at([["ben", cursor(3)], ["eve", eve]], 2)).toEqual({ x: 3, y: 0 });
});

test("jsc12 what somebody else drags is never written by who looks on", async () => {
  const { desk, page } = await opened();
  await page.ben({ a: { x: 30, y: 40, width: 50 } });
  const shown = page.node("a");
  page.change(
    { type: "select", id: "a", selected: true },
    { type: "dimensions", id: "a", dimensions: { width: 50, height: 20 } },
    { type: "replace", id: "a", item: { ...shown, data: { label: "A" } } },
  );
  await page.ben({ a: { x: 70, y: 80 } });
  page.change({ type: "replace", id: "a", item: { ...shown, data: { label: "AB" } } });
  const copy = { ...page.node("a"), position: { ...page.node("a").position } };
  page.change({ type: "replace", id: "a", item: { ...copy, parentId: "b" } });
  await page.pass(2_000);
  expect(page.patches()).toEqual([
    { a: { data: { label: "AB" }, position: { x: 0, y: 0 }, parentId: "b" } },
  ]);
  expect(desk.server.document.nodes["a"]).toMatchObject({ position: { x: 0, y: 0 } });
});

test("jsc12 a step by key goes from where a node is, not from where somebody else drags it", async () => {
  const { page } = await opened();
  await page.ben({ a: { x: 30, y: 40 } });
  page.change({ type: "position", id: "a", position: { x: 38, y: 40 }, dragging: false });
  await page.pass(2_000);
  expect(page.patches()).toEqual([{ a: { position: { x: 8, y: 0 }, parentId: null } }]);
});

const CANCELS: [string, () => void][] = [
  ["Escape", () => dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }))],
  ["a pointer that is taken away", () => dispatchEvent(new Event("pointercancel"))],
  ["a page that is hidden", () => {
    vi.spyOn(document, "visibilityState", "get").mockReturnValueOnce("hidden");
    document.dispatchEvent(new Event("visibilitychange"));
  }],
  ["a page that freezes", () => document.dispatchEvent(new Event("freeze"))],
];

test.each(CANCELS)("jsc12 %s gives up a drag: nothing is written, nor shown to others", async (_, cancel) => {
  const { desk, page } = await opened();
  page.drag(5, true);
  await page.pass(100);
  expect(page.told()).toMatchObject({ moving: { a: { x: 5, y: 0 } } });
  act(cancel);
  await page.pass(100);
  expect(page.node("a")).toEqual(node("a"));
  expect(page.told()).toEqual({});
  page.drag(9, true);
  page.drag(9, false);
  await page.pass(2_000);
  expect(desk.sent).toEqual([]);
  page.drag(7, true);
  page.drag(7, false);
  await page.pass(2_000);
  expect(page.patches()).toEqual([{ a: { position: { x: 7, y: 0 }, parentId: null } }]);
});

test("jsc12 a resize is given up likewise, and the next press begins anew", async () => {
  const { desk, page } = await opened();
  const resize = (size: number, resizing: boolean): void => {
    page.change(
      { type: "position", id: "a", position: { x: -size, y: 0 } },
      { type: "dimensions", id: "a", resizing, setAttributes: true, dimensions: { width: size, height: 9 } },
    );
  };
  resize(5, true);
  act(() => {
    dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
  });
  resize(6, true);
  await page.pass(1_000);
  expect(page.node("a").width).toBeUndefined();
  expect(desk.sent).toEqual([]);
  // Its end came to nobody: the button was let go over another page.
  act(() => {
    dispatchEvent(new Event("pointerdown"));
  });
  resize(7, true);
  resize(7, false);
  await page.pass(2_000);
  expect(page.patches()).toMatchObject([{ a: { position: { x: -7, y: 0 }, width: 7 } }]);
});

test("jsc12 where others only point, no node is looked at", async () => {
  const { desk, page } = await opened();
  await page.ben({ a: { x: 3, y: 4 } });
  const shows = vi.spyOn(FlowView.prototype, "show");
  desk.server.broadcast("cursors", { ben: { x: 9, y: 9, moving: { a: { x: 3, y: 4 } } }, eve: { x: 1, y: 1 } });
  await page.pass(100);
  expect(page.flow().cursors.get("eve")).toEqual({ x: 1, y: 1 });
  expect(shows).not.toHaveBeenCalled();
  await page.ben({ a: { x: 5, y: 4 } });
  expect(page.at("a")).toEqual({ x: 5, y: 4 });
  shows.mockRestore();
});

test("jsc12 a chain of 20,000 nodes, each in the next, is listed in a moment", async () => {
  const ids = Array.from({ length: 20_000 }, (_, n) => `n${n}`);
  const chain = ids.map((id, n) => [id, { ...node(id), ...(n === 19_999 ? {} : { parentId: `n${n + 1}` }) }]);
  const { page } = await opened(Object.fromEntries(chain) as JsonObject);
  expect(page.flow().nodes.map(({ id }) => id)).toEqual(ids.toReversed());
});

// Who is told of a selection was told anew of all of it for each node: 20,000 took a minute and a half.
test("jsc45 twenty thousand nodes are selected and told of at once", async () => {
  const ids = Array.from({ length: 20_000 }, (_, n) => `n${n}`);
  const { page } = await opened(Object.fromEntries(ids.map((id) => [id, node(id)])));
  const tellings = vi.spyOn(page.flow().sync, "setPresence");
  page.change(...ids.map((id): NodeChange => ({ type: "select", id, selected: true })));
  expect(tellings.mock.calls).toEqual([[{ selection: ids }]]);
});
