// @vitest-environment jsdom
import type { Edge, Node, NodeChange } from "@xyflow/react";
import { act, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { describe, expect, test } from "vitest";

import type { UseFlowResult } from "../../src/react/types";
import { useFlow } from "../../src/react/useFlow";
import type { JsonObject } from "../../src/types";
import { Desk, node, NODE } from "../desk";
import { rootsOfTests } from "../roots";

const roots = rootsOfTests();

/** A component that uses a flow. */
class Page {
  renders = 0;
  flow!: UseFlowResult;
  readonly #desk: Desk;

  constructor(desk: Desk) {
    this.#desk = desk;
    const Flow = (): null => {
      this.flow = useFlow("demo", {
        url: "http://helix.test",
        keeper: null,
        webSocket: desk.network.webSocket,
        random: () => 0.5 + Math.random() / 2,
      });
      this.renders += 1;
      return null;
    };
    const root = createRoot(document.createElement("div"));
    roots.push(root);
    act(() => {
      root.render(
        <StrictMode>
          <Flow />
        </StrictMode>,
      );
    });
  }

  static async open(desk: Desk): Promise<Page> {
    const page = new Page(desk);
    await page.until(() => page.flow.status.kind === "saved");
    return page;
  }

  async until(holds: () => boolean): Promise<void> {
    await act(() => this.#desk.until(holds));
  }

  async pass(ms: number): Promise<void> {
    await act(() => this.#desk.pass(ms));
  }

  change(...changes: NodeChange[]): void {
    act(() => {
      this.flow.onNodesChange(changes);
    });
  }

  node(id: string): Node | undefined {
    return this.flow.nodes.find((one) => one.id === id);
  }
}

/** A flow of two nodes and an edge. */
async function opened(): Promise<{ desk: Desk; page: Page }> {
  const desk = new Desk();
  desk.server.edit({
    nodes: { n1: NODE, n2: node("n2") },
    edges: { e1: { id: "e1", source: "n1", target: "n2" } },
  });
  return { desk, page: await Page.open(desk) };
}

describe("useFlow", () => {
  test("jsc12 nodes and edges are the document's", async () => {
    const { desk, page } = await opened();
    expect(page.flow.nodes).toEqual([NODE, node("n2")]);
    expect(page.flow.edges).toEqual([{ id: "e1", source: "n1", target: "n2" }]);
    desk.server.edit({ nodes: { n1: { data: { label: "A" } } } });
    await page.until(() => page.node("n1")?.data["label"] === "A");
  });

  test("jsc12 what is one's own is shown, and never sent", async () => {
    const { desk, page } = await opened();
    page.change(
      { type: "select", id: "n1", selected: true },
      { type: "dimensions", id: "n1", dimensions: { width: 10, height: 20 } },
    );
    act(() => {
      page.flow.onEdgesChange([{ type: "select", id: "e1", selected: true }]);
    });
    expect(page.node("n1")).toEqual({
      ...NODE,
      selected: true,
      measured: { width: 10, height: 20 },
    });
    expect(page.flow.edges[0]?.selected).toBe(true);
    await page.pass(2000);
    expect(desk.sent).toEqual([]);
    expect(desk.server.heardEvents("presence").at(-1)).toMatchObject({ selection: ["n1", "e1"] });
  });

  test("jsc12 a drag is seen as it goes, and one change when it ends", async () => {
    const { desk, page } = await opened();
    for (let x = 1; x <= 5; x += 1) {
      page.change({ type: "position", id: "n1", position: { x, y: 0 }, dragging: true });
      expect(page.node("n1")).toMatchObject({ position: { x, y: 0 }, dragging: true });
      await page.pass(40);
    }
    expect(desk.sent).toEqual([]);
    expect(desk.server.heardEvents("cursor").at(-1)).toMatchObject({ moving: { n1: { x: 5, y: 0 } } });
    desk.network.delay = () => 100;
    page.change({ type: "position", id: "n1", position: { x: 6, y: 0 }, dragging: false });
    await page.pass(150);
    // Until others have it otherwise, or the node would jump back for them.
    expect(page.flow.status.kind).toBe("saving");
    expect(desk.server.heardEvents("cursor").at(-1)).toMatchObject({ moving: { n1: { x: 6, y: 0 } } });
    desk.network.delay = () => 1;
    await page.until(() => page.flow.status.kind === "saved");
    await page.pass(100);
    expect(desk.sent.map(({ patch }) => patch)).toEqual([
      { nodes: { n1: { position: { x: 6, y: 0 }, parentId: null } } },
    ]);
    expect(desk.server.heardEvents("cursor").at(-1)).toEqual({});
    act(() => {
      page.flow.undo();
    });
    expect(page.node("n1")?.position).toEqual({ x: 0, y: 0 });
  });

  test("jsc12 grp3 a place is told with the parent that it is relative to", async () => {
    const { desk, page } = await opened();
    const group = { ...NODE, id: "g" };
    desk.server.edit({ nodes: { g: group, n1: { parentId: "g" } } });
    await page.pass(10);
    page.change({ type: "position", id: "n1", position: { x: 6, y: 0 }, dragging: false });
    await page.pass(2000);
    page.change({ type: "replace", id: "n1", item: { ...NODE, position: { x: 7, y: 0 } } });
    await page.pass(2000);
    page.change({ type: "replace", id: "n1", item: { ...NODE, data: { label: "x" }, position: { x: 7, y: 0 } } });
    await page.pass(2000);
    expect(desk.sent.map(({ patch }) => (patch["nodes"] as JsonObject)["n1"])).toEqual([
      { position: { x: 6, y: 0 }, parentId: "g" },
      { position: { x: 7, y: 0 }, parentId: null },
      { data: { label: "x" } },
    ]);
  });

  test("jsc12 where others drag is shown, until they have dropped it", async () => {
    const { desk, page } = await opened();
    desk.server.broadcast("cursors", { ben: { x: 0, y: 0, moving: { n1: { x: 3, y: 4 } } } });
    await page.pass(10);
    expect(page.node("n1")?.position).toEqual({ x: 3, y: 4 });
    desk.server.edit({ nodes: { n1: { position: { x: 5, y: 6 } } } });
    desk.server.broadcast("cursors", { ben: { x: 0, y: 0 } });
    await page.pass(10);
    expect(page.node("n1")?.position).toEqual({ x: 5, y: 6 });
  });

  test("jsc12 a resize is one change when it ends, with what it moves", async () => {
    const { desk, page } = await opened();
    const resize = (size: number, resizing: boolean): void => {
      page.change(
        { type: "position", id: "n1", position: { x: -size, y: 0 } },
        {
          type: "dimensions",
          id: "n1",
          resizing,
          setAttributes: true,
          dimensions: { width: size, height: 10 },
        },
      );
    };
    resize(5, true);
    resize(6, true);
    expect(page.node("n1")).toMatchObject({ width: 6, position: { x: -6, y: 0 } });
    await page.pass(1000);
    expect(desk.sent).toEqual([]);
    page.change({ type: "dimensions", id: "n1", resizing: false });
    await page.until(() => page.flow.status.kind === "saved" && desk.sent.length > 0);
    expect(desk.server.document.nodes["n1"]).toEqual({
      ...NODE,
      position: { x: -6, y: 0 },
      width: 6,
      height: 10,
    });
    expect(desk.sent).toHaveLength(1);
  });

  test("jsc12 what is typed into a node is gathered, and sent on blur", async () => {
    const { desk, page } = await opened();
    for (const label of ["a", "ab", "abc"]) {
      const item = { ...(page.node("n1") as Node), data: { label } };
      page.change({ type: "replace", id: "n1", item });
      expect(page.node("n1")?.data).toEqual({ label });
    }
    expect(desk.sent).toEqual([]);
    act(() => {
      document.dispatchEvent(new FocusEvent("focusout"));
    });
    await page.pass(10);
    expect(desk.sent.map(({ patch }) => patch)).toEqual([{ nodes: { n1: { data: { label: "abc" } } } }]);
  });

  test("jsc12 a deletion of nodes and edges is one change and one step of undo", async () => {
    const { desk, page } = await opened();
    act(() => {
      page.flow.onEdgesChange([{ type: "remove", id: "e1" }]);
      page.flow.onNodesChange([{ type: "remove", id: "n1" }]);
    });
    expect(page.flow.nodes).toEqual([node("n2")]);
    await page.until(() => page.flow.status.kind === "saved" && desk.sent.length > 0);
    expect(desk.sent).toHaveLength(1);
    act(() => {
      page.flow.undo();
    });
    expect(page.flow.edges).toHaveLength(1);
    expect(page.flow.canUndo).toBe(false);
    act(() => {
      page.flow.redo();
    });
    expect(page.flow.nodes).toHaveLength(1);
  });

  test("jsc12 nodes are added, edges connected, and each pair once", async () => {
    const { desk, page } = await opened();
    page.change({ type: "add", item: { ...node("n3"), selected: true } as unknown as Node });
    const connection = { source: "n2", target: "n3", sourceHandle: null, targetHandle: null };
    act(() => {
      page.flow.onConnect(connection);
      page.flow.onConnect(connection);
    });
    await page.until(() => page.flow.status.kind === "saved" && desk.sent.length > 1);
    expect(desk.server.document.nodes["n3"]).toEqual(node("n3"));
    expect(Object.values(desk.server.document.edges)).toMatchObject([{ id: "e1" }, connection].map(
      ({ ...edge }) => Object.fromEntries(Object.entries(edge).filter(([, value]) => value !== null)),
    ));
  });

  test("jsc30 an edge that is led elsewhere stays selected, and its old ends are connected anew", async () => {
    const { desk, page } = await opened();
    desk.server.edit({ nodes: { n3: node("n3") }, edges: { e1: null } });
    await page.pass(10);
    const ends = (source: string, target: string) => ({ source, target, sourceHandle: null, targetHandle: null });
    act(() => {
      page.flow.onConnect(ends("n1", "n2"));
    });
    const [edge] = page.flow.edges;
    act(() => {
      page.flow.onEdgesChange([{ type: "select", id: edge?.id ?? "", selected: true }]);
      page.flow.onReconnect(edge as Edge, ends("n1", "n3"));
    });
    expect(page.flow.edges).toMatchObject([{ source: "n1", target: "n3", selected: true }]);
    act(() => {
      page.flow.onConnect(ends("n1", "n2"));
    });
    expect(page.flow.edges.map(({ target }) => target).sort()).toEqual(["n2", "n3"]);
    act(() => {
      page.flow.undo();
      page.flow.undo();
    });
    expect(page.flow.edges.map(({ target }) => target)).toEqual(["n2"]);
    await page.until(() => page.flow.status.kind === "saved");
    expect(Object.values(desk.server.document.edges)).toMatchObject([{ source: "n1", target: "n2" }]);
  });

  test("jsc12 children come behind their parents", async () => {
    const { desk, page } = await opened();
    desk.server.edit({ nodes: { n1: { parentId: "n3" }, n3: { ...node("n3"), parentId: "n2" } } });
    await page.until(() => page.flow.nodes.length === 3);
    expect(page.flow.nodes.map(({ id }) => id)).toEqual(["n2", "n3", "n1"]);
  });

  test("jsc12 nodes are drawn by their ids, and those whose parents can't be as if they had none", async () => {
    const desk = new Desk();
    const ids = ["z", "10", "9", "\uffff", "\u{1f600}", "a"];
    const nodes = Object.fromEntries(ids.map((id) => [id, node(id)]));
    // As logs hold it from before there was a rule.
    const wrong = { a: { ...node("a"), parentId: "z" }, z: { ...node("z"), parentId: "a" } };
    desk.server.document = { ...desk.server.document, nodes: { ...nodes, ...wrong } as never };
    const page = await Page.open(desk);
    expect(page.flow.nodes.map(({ id }) => id)).toEqual(["10", "9", "a", "z", "\uffff", "\u{1f600}"]);
    expect(page.flow.nodes.map(({ parentId }) => parentId)).toEqual(ids.map(() => undefined));
  });

  test("jsc12 what React Flow couldn't measure goes nowhere", async () => {
    const { desk, page } = await opened();
    page.change(
      { type: "position", id: "n1", position: { x: NaN, y: 1 }, dragging: true },
      { type: "position", id: "n1", position: { x: NaN, y: 1 }, dragging: false },
      { type: "position", id: "n2", position: { x: 1, y: Infinity } },
      { type: "dimensions", id: "n2", dimensions: { width: NaN, height: 1 }, setAttributes: true },
    );
    act(() => {
      page.flow.setCursor({ x: NaN, y: 0 });
    });
    const added = { ...node("n3"), width: NaN, data: { label: "A" } };
    page.change({ type: "add", item: added as unknown as Node });
    await page.pass(2000);
    expect(desk.sent.map(({ patch }) => patch)).toEqual([
      { nodes: { n3: node("n3", { data: { label: "A" } }) } },
    ]);
    expect(desk.server.heardEvents("cursor").filter((cursor) => cursor["x"] === null)).toEqual([]);
    expect(page.flow.sync.state.refusals).toEqual([]);
  });

  test("jsc12 of a thousand nodes, one that moves is the only one that is another", async () => {
    const desk = new Desk();
    const ids = Array.from({ length: 1000 }, (_, n) => `n${n}`);
    desk.server.edit({ nodes: Object.fromEntries(ids.map((id) => [id, node(id)])) });
    const page = await Page.open(desk);
    const news = (before: (Node | Edge)[], now: (Node | Edge)[]): string[] =>
      now.filter((one, n) => one !== before[n]).map(({ id }) => id);
    const { nodes, edges } = page.flow;
    page.change({ type: "position", id: "n7", position: { x: 1, y: 1 }, dragging: true });
    expect(news(nodes, page.flow.nodes)).toEqual(["n7"]);
    page.change({ type: "position", id: "n7", position: { x: 1, y: 1 }, dragging: false });
    const dropped = page.flow.nodes;
    await page.until(() => page.flow.status.kind === "saved");
    expect(page.flow.nodes).toBe(dropped);
    expect(page.flow.edges).toBe(edges);
    desk.server.edit({ nodes: { n8: { position: { x: 2 } } } });
    await page.until(() => page.node("n8")?.position.x === 2);
    expect(news(dropped, page.flow.nodes)).toEqual(["n8"]);
  });
});

test("acc60, acc66 role and rights are in the result; a drag ends where the right to edit goes", async () => {
  const desk = new Desk();
  desk.server.edit({ nodes: { n1: NODE } });
  const page = await Page.open(desk);
  expect(page.flow).toMatchObject({ role: "editor", paths: null });
  page.change({ type: "position", id: "n1", position: { x: 5, y: 5 }, dragging: true });
  expect(page.flow.nodes).toMatchObject([{ position: { x: 5, y: 5 }, dragging: true }]);
  desk.server.grant({ role: "viewer", may: ["read"] });
  await page.until(() => page.flow.role === "viewer");
  expect(page.flow.may).toEqual(["read"]);
  expect(page.flow.nodes[0]).toMatchObject({ position: { x: 0, y: 0 } });
  expect(page.flow.nodes[0]?.dragging).toBeUndefined();
  page.change({ type: "position", id: "n1", position: { x: 6, y: 6 }, dragging: true });
  page.change({ type: "position", id: "n1", position: { x: 6, y: 6 }, dragging: false });
  await page.pass(1000);
  expect(page.flow.nodes[0]).toMatchObject({ position: { x: 0, y: 0 } });
  expect([page.flow.sync.state.refusals, desk.sent]).toEqual([[], []]);
});

test("acc66 a drag that was held back is shown to nobody as going on", async () => {
  const desk = new Desk();
  desk.server.edit({ nodes: { n1: NODE } });
  const page = await Page.open(desk);
  page.change({ type: "position", id: "n1", position: { x: 5, y: 5 }, dragging: true });
  desk.server.rights = { role: "viewer", may: ["read"] };
  page.change({ type: "position", id: "n1", position: { x: 5, y: 5 }, dragging: false });
  await page.until(() => page.flow.status.kind === "held");
  await page.pass(1000);
  expect(desk.server.heardEvents("cursor").at(-1)).not.toHaveProperty("moving");
  expect(page.flow.nodes[0]).toMatchObject({ position: { x: 5, y: 5 } });
});
