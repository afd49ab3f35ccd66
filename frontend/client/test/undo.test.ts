/** Undo on a bad network: of what the log doesn't have yet, or has unseen. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { Desk, node, NODE } from "./desk";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.clearAllTimers();
  vi.useRealTimers();
});

describe("undo", () => {
  test("jsc10 what no server has yet is as if it had never been, and can be redone", async () => {
    const desk = new Desk();
    desk.server.edit({ title: "old", nodes: { n1: NODE } });
    const ada = await desk.join();
    desk.network.isUp = false;
    desk.network.cut();
    ada.patch({ title: "tried" });
    ada.undo();
    ada.patch({ nodes: { n1: null } });
    ada.undo();
    expect(ada.state.status.unsent).toBe(0);
    expect(ada.state.document).toMatchObject({ title: "old", nodes: { n1: NODE } });
    expect(ada.redo()).toBe(true);
    expect(ada.state.document?.nodes).toEqual({});
    expect(ada.undo()).toBe(true);
    desk.server.edit({ title: "theirs", nodes: { n1: { data: { label: "theirs" } } } });
    desk.network.isUp = true;
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.sent).toEqual([]);
    expect(desk.server.document.title).toBe("theirs");
    expect(desk.server.document.nodes["n1"]?.data).toEqual({ label: "theirs" });
  });

  test("jsc10 what is on its way is taken back by what it turns out to have changed", async () => {
    const desk = new Desk();
    desk.server.edit({ title: "old" });
    const ada = await desk.join();
    desk.network.delay = () => 100;
    ada.patch({ title: "tried" });
    desk.server.edit({ title: "theirs" });
    expect(ada.undo()).toBe(true);
    expect(ada.state.document?.title).toBe("old");
    ada.patch({ description: "after" });
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document).toMatchObject({ title: "theirs", description: "after" });
    expect(ada.state.document).toEqual(desk.server.document);
    const changes = desk.server.log.map(({ patch }) => patch);
    expect(changes.slice(2)).toEqual([
      { title: "tried" },
      { title: "theirs" },
      { description: "after" },
    ]);
    ada.undo();
    expect(ada.redo()).toBe(true);
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document.description).toBe("after");
  });

  test("jsc10 the undo of what is refused is no more", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    desk.server.mood = (_, opId) =>
      opId === 1 ? { reason: "No", code: "invalid_patch", retry: false } : null;
    desk.network.delay = () => 50;
    ada.patch({ title: "wrong" });
    ada.undo();
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.sent.map(({ op_id }) => op_id)).toEqual([1]);
    expect([ada.state.canUndo, ada.state.canRedo]).toEqual([false, false]);
    expect(desk.server.log).toEqual([]);
  });

  test("jsc10 redo of the undo of what is on its way leaves it as it is", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    desk.network.delay = () => 50;
    ada.patch({ title: "A" });
    ada.undo();
    ada.redo();
    expect(ada.state.document?.title).toBe("A");
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.log.map(({ patch }) => patch)).toEqual([{ title: "A" }]);
    expect(ada.undo()).toBe(true);
    expect(ada.state.document?.title).toBe("");
  });

  test("jsc10 what is still being typed is not sent to be taken back", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    ada.gather("title", { title: "typed" });
    expect(ada.undo()).toBe(true);
    await desk.pass(2000);
    expect(ada.state.document?.title).toBe("");
    expect(desk.sent).toEqual([]);
    expect(ada.redo()).toBe(true);
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document.title).toBe("typed");
  });

  test("jsc10 what came back in a whole document keeps its step", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    ada.patch({ title: "first" });
    await desk.until(() => ada.state.status.kind === "saved");
    desk.network.delay = () => 100;
    ada.patch({ description: "last" });
    await desk.until(() => desk.server.version === 2);
    desk.network.cut();
    desk.server.isWhole = true;
    await desk.until(() => ada.state.status.kind === "saved");
    expect(ada.undo()).toBe(true);
    expect(ada.state.document).toMatchObject({ title: "first", description: "" });
    await desk.until(() => ada.state.status.kind === "saved");
    expect(ada.undo()).toBe(true);
    expect(desk.server.document.description).toBe("");
  });

  test("jsc10 an undo too large for one patch is several, and one step", async () => {
    const desk = new Desk();
    desk.server.limits = { max_frame_bytes: 16 * 1024, max_patch_bytes: 4096 };
    const ids = Array.from({ length: 60 }, (_, n) => `n${n}`);
    const made = ids.map((id) => [id, node(id, { data: { text: "x".repeat(200) } })]);
    desk.server.edit({
      nodes: Object.fromEntries(made),
      edges: { e1: { id: "e1", source: "n0", target: "n59" } },
    });
    const { document } = desk.server;
    const ada = await desk.join();
    ada.patch({ nodes: Object.fromEntries(ids.map((id) => [id, null])) });
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document.nodes).toEqual({});
    for (const turn of [() => ada.undo(), () => ada.redo(), () => ada.undo()]) {
      expect(turn()).toBe(true);
      await desk.until(() => ada.state.status.kind === "saved");
    }
    expect(ada.state.refusals).toEqual([]);
    expect(desk.server.document).toEqual(document);
    const sizes = desk.sent.map(({ patch }) => JSON.stringify(patch).length);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(4096);
    expect(ada.state.canUndo).toBe(false);
  });

  test("jsc10 it can be undone only where something will happen", async () => {
    const desk = new Desk();
    desk.server.edit({ nodes: { n1: NODE } });
    const ada = await desk.join();
    ada.patch({ nodes: { n1: { position: { x: 5 } } } });
    await desk.until(() => ada.state.status.kind === "saved");
    expect(ada.state.canUndo).toBe(true);
    desk.server.edit({ nodes: { n1: { position: { x: 7 } } } });
    await desk.pass(10);
    expect(ada.state.canUndo).toBe(false);
    expect(ada.undo()).toBe(false);
  });

  test("jsc10 somebody else's change there and back again is theirs", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    ada.patch({ title: "A" });
    await desk.until(() => ada.state.status.kind === "saved");
    desk.server.edit({ title: "B" });
    desk.server.edit({ title: "A" });
    await desk.pass(10);
    expect(ada.undo()).toBe(false);
  });
});
