/** Undo on a bad network: of what the log doesn't have yet, or has unseen. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import type { FlowSync } from "../../src/sync/sync";
import { Browser } from "../browser";
import { Desk, node, NODE } from "../desk";

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

  /** Somebody makes the flow on another node than the one that `ada` is on, which didn't know. */
  async function madeElsewhere(): Promise<{ desk: Desk; ada: FlowSync }> {
    const desk = new Desk();
    const ada = await desk.join();
    desk.network.delay = () => 50;
    ada.patch({ nodes: { n1: NODE } });
    desk.server.epoch = "epoch2";
    desk.server.document = { ...desk.server.document, description: "theirs" };
    const patch = { description: "theirs" };
    desk.server.log.push({ version: 1, client_id: null, op_id: null, patch, by: "", at: 0 });
    return { desk, ada };
  }

  /** What `ada` made is there, and she can undo it. */
  async function isUndone(desk: Desk, ada: FlowSync): Promise<void> {
    await desk.until(() => ada.state.status.kind === "saved" && ada.state.version === 2);
    expect(ada.state.epoch).toBe("epoch2");
    expect(ada.state.document).toMatchObject({ description: "theirs", nodes: { n1: NODE } });
    expect(ada.undo()).toBe(true);
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document).toMatchObject({ description: "theirs", nodes: {} });
    expect(ada.state.document).toEqual(desk.server.document);
  }

  test("nod133 what was done before another node made the flow can be undone", async () => {
    const { desk, ada } = await madeElsewhere();
    const { epoch, version, document } = desk.server;
    desk.server.broadcast("reset", { epoch, version, document, chain: desk.server.chain(version) });
    await isUndone(desk, ada);
  });

  test("nod133 also where the whole flow, with what was done, comes with the next join", async () => {
    const { desk, ada } = await madeElsewhere();
    await desk.until(() => desk.server.version === 2);
    desk.network.cut();
    await isUndone(desk, ada);
  });

  test("nod133 but not what was stored, and is in no log any more", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    desk.network.delay = () => 50;
    ada.patch({ title: "hers" });
    await desk.until(() => ada.state.status.kind === "saved");
    desk.server.epoch = "epoch2";
    desk.server.log.length = 0;
    desk.network.cut();
    await desk.until(() => ada.state.epoch === "epoch2");
    expect(ada.state.canUndo).toBe(false);
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

/** Two people in a flow; Ada drags a node, and it is saved. */
async function dragged(): Promise<{ desk: Desk; ada: FlowSync }> {
  const desk = new Desk();
  desk.server.edit({ nodes: { n1: NODE, n2: node("n2") } });
  const ada = await desk.join();
  ada.patch({ nodes: { n1: { position: { x: 5, y: 5 } }, n2: { position: { x: 6, y: 6 } } } });
  await desk.until(() => ada.state.status.kind === "saved");
  return { desk, ada };
}

describe("undo of what is saved, while others go on", () => {
  test("jsc27 an undo that waits leaves what others have changed meanwhile", async () => {
    const { desk, ada } = await dragged();
    desk.network.isUp = false;
    desk.network.cut();
    expect(ada.undo()).toBe(true);
    expect(ada.state.document?.nodes["n1"]?.position).toEqual({ x: 0, y: 0 });
    desk.server.edit({ nodes: { n1: { position: { x: 70, y: 70 } } } });
    desk.network.isUp = true;
    await desk.until(() => ada.state.status.kind === "saved");
    const { nodes } = desk.server.document;
    expect(nodes["n1"]?.position).toEqual({ x: 70, y: 70 });
    expect(nodes["n2"]?.position).toEqual({ x: 0, y: 0 });
    expect(ada.state.document).toEqual(desk.server.document);
    expect(ada.redo()).toBe(true);
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document.nodes["n1"]?.position).toEqual({ x: 70, y: 70 });
    expect(desk.server.document.nodes["n2"]?.position).toEqual({ x: 6, y: 6 });
  });

  test.each(
    ["u", "uru", "ururu"].flatMap((turns) =>
      [false, true].flatMap((isWhole) => [false, true].map((isTouched): [string, boolean, boolean] => [turns, isWhole, isTouched])),
    ),
  )("jsc27 of what was in the log, though its answer was lost: %s, whole %s, touched by others %s", async (turns, isWhole, isTouched) => {
    const desk = new Desk();
    desk.server.edit({ nodes: { n1: node("n1", { position: { x: 200, y: 0 } }) } });
    const ada = await desk.join();
    desk.network.delay = () => 300;
    ada.patch({ data: { done: 1 }, nodes: { n1: { position: { x: 974, y: 1 }, data: { marks: { done: 1 } } } } });
    await desk.until(() => "done" in desk.server.document.data);
    desk.network.isUp = false;
    desk.network.cut();
    for (const turn of turns) {
      ada[turn === "u" ? "undo" : "redo"]();
      await desk.pass(60);
    }
    if (isTouched) {
      desk.server.edit({ nodes: { n1: { position: { x: 0 }, data: { marks: { theirs: 1 } } } } });
    }
    desk.server.isWhole = isWhole;
    desk.network.isUp = true;
    ada.retryNow();
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document.data).toEqual({});
    expect(desk.server.document.nodes["n1"]).toMatchObject(
      isTouched ? { position: { x: 0 }, data: { marks: { theirs: 1 } } } : { position: { x: 200, y: 0 }, data: {} },
    );
    expect(ada.state.document).toEqual(desk.server.document);
  });

  test("jsc27 one of which nothing is left is not sent, also where others came back to the same", async () => {
    const { desk, ada } = await dragged();
    const { length } = desk.sent;
    desk.network.isUp = false;
    desk.network.cut();
    ada.undo();
    for (const by of [70, 0]) {
      const position = { x: 5 + by, y: 5 + by };
      desk.server.edit({ nodes: { n1: { position }, n2: { position: { x: 6 + by, y: 6 + by } } } });
    }
    desk.network.isUp = true;
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.sent).toHaveLength(length);
    expect(desk.server.document.nodes["n1"]?.position).toEqual({ x: 5, y: 5 });
    expect(ada.state.document).toEqual(desk.server.document);
    expect([ada.state.canUndo, ada.state.canRedo]).toEqual([false, false]);
  });

  test("jsc27 nor does the undo of a page that is gone change what others have changed", async () => {
    const browser = new Browser();
    const desk = new Desk();
    desk.server.edit({ nodes: { n1: NODE, n2: node("n2") } });
    const page = browser.page();
    const ada = await desk.join({ keeper: page });
    ada.patch({ nodes: { n1: { data: { a: 1 } }, n2: { data: { a: 1 } } } });
    await desk.until(() => ada.state.status.kind === "saved");
    await desk.pass(3000);
    desk.network.isUp = false;
    desk.network.cut();
    ada.undo();
    ada.stop();
    page.die();
    for (const a of [2, 1]) {
      desk.server.edit({ nodes: { n1: { data: { a } } } });
    }
    desk.network.isUp = true;
    const later = desk.open({ keeper: browser.page() });
    await desk.until(() => later.state.status.kind === "saved" && later.state.version === 5);
    expect(desk.server.document.nodes["n1"]?.data).toEqual({ a: 1 });
    expect(desk.server.document.nodes["n2"]?.data).toEqual({});
    expect(browser.operations).toEqual([]);
  });

  test("jsc27 of a page that is gone takes all back, though some of that was in the log before", async () => {
    const desk = new Desk();
    desk.server.limits = { max_frame_bytes: 16 * 1024, max_patch_bytes: 2048 };
    const browser = new Browser();
    const keeper = browser.page();
    const ada = await desk.join({ keeper });
    const away = { reason: "The store is away", code: "store_unavailable", retry: true };
    desk.server.mood = () => (desk.server.version > 1 ? away : null);
    const ids = Array.from({ length: 100 }, (_, n) => `n${n}`);
    ada.patch({ nodes: Object.fromEntries(ids.map((id) => [id, node(id)])) });
    await desk.until(() => ada.state.version > 1);
    expect(ada.undo()).toBe(true);
    ada.stop();
    keeper.die();
    desk.server.mood = () => null;
    desk.server.edit({ description: "theirs" });
    const ben = await desk.join({ keeper: browser.page() });
    expect(desk.server.document.nodes).toEqual({});
    expect(ben.state.document).toEqual(desk.server.document);
    expect(browser.operations).toEqual([]);
  });

  test("jsc1 jsc27 what another page redoes is shown as soon as the log has it", async () => {
    const browser = new Browser();
    const desk = new Desk();
    desk.server.isWhole = true;
    desk.server.edit({ title: "old" });
    const page = browser.page();
    const ada = await desk.join({ keeper: page });
    const { document } = browser;
    ada.patch({ title: "new" });
    await desk.until(() => ada.state.status.kind === "saved");
    desk.network.delay = () => 100;
    ada.undo();
    ada.redo();
    page.die();
    await desk.until(() => desk.server.document.title === "old");
    desk.network.cut();
    ada.stop();
    browser.document = document; // the page had no time to keep a later one
    desk.network.delay = () => 1;
    const ben = desk.open({ keeper: browser.page() });
    const shown = new Map<number, string>();
    ben.subscribe(() => {
      const { version, status, document } = ben.state;
      if (status.kind === "saved") {
        shown.set(version, shown.get(version) ?? document?.title ?? "");
      }
    });
    await desk.until(() => ben.state.status.kind === "saved" && ben.state.version === 4);
    expect(desk.server.document.title).toBe("new");
    expect(shown).toEqual(new Map([[4, "new"]]));
  });

  test("jsc27 of a page that is gone, what was in the document already is taken back", async () => {
    const browser = new Browser();
    const desk = new Desk();
    desk.server.edit({ nodes: { n1: NODE } });
    const page = browser.page();
    const ada = await desk.join({ keeper: page });
    desk.network.delay = () => 100;
    ada.patch({ nodes: { n1: null } });
    ada.undo();
    page.die();
    await desk.until(() => desk.server.version === 2);
    desk.network.cut();
    ada.stop();
    desk.network.delay = () => 1;
    // Another page of the browser has seen the deletion, and kept that.
    const place = { epoch: desk.server.epoch, version: 2, chain: desk.server.chain(2) };
    browser.document = { ...place, document: desk.server.document };
    desk.server.edit({ description: "theirs" });
    const ben = await desk.join({ keeper: browser.page() });
    await desk.pass(1000);
    expect(desk.server.document.nodes).toEqual({ n1: NODE });
    expect(ben.state.document).toEqual(desk.server.document);
    expect(browser.operations).toEqual([]);
  });

  test("jsc27 the parts of one that is large leave it, too", async () => {
    const { desk, ada } = await dragged();
    const ids = Array.from({ length: 60 }, (_, n) => `m${n}`);
    const text = "x".repeat(200);
    ada.patch({ nodes: Object.fromEntries(ids.map((id) => [id, node(id, { data: { text } })])) });
    await desk.until(() => ada.state.status.kind === "saved");
    ada.patch({ nodes: Object.fromEntries(ids.map((id) => [id, { data: { text: "y" } }])) });
    await desk.until(() => ada.state.status.kind === "saved");
    desk.server.limits = { max_frame_bytes: 16 * 1024, max_patch_bytes: 4096 };
    desk.network.cut();
    await desk.until(() => ada.state.status.kind === "saved");
    desk.network.delay = () => 200;
    let refusals = 0;
    desk.server.mood = () =>
      (refusals += 1) > 1 ? { reason: "Later", code: "store_unavailable", retry: true } : null;
    ada.undo();
    await desk.until(() => refusals > 2);
    for (const label of ["z", "y"]) {
      desk.server.edit({ nodes: { m59: { data: { text: label } } } });
    }
    desk.server.mood = () => null;
    desk.network.delay = () => 1;
    await desk.until(() => ada.state.status.kind === "saved");
    const { nodes } = desk.server.document;
    expect(nodes["m59"]?.data).toEqual({ text: "y" });
    expect(ids.filter((id) => nodes[id]?.data["text"] === text)).toHaveLength(59);
  });

  test("jsc27 an undo that is refused gives its step back, below those that were made since", async () => {
    const { desk, ada } = await dragged();
    desk.server.mood = () => ({ reason: "No", code: "invalid_patch", retry: false });
    desk.network.delay = () => 50;
    ada.undo();
    ada.patch({ title: "after" });
    desk.server.mood = (_, opId) =>
      opId === 2 ? { reason: "No", code: "invalid_patch", retry: false } : null;
    await desk.until(() => ada.state.status.kind === "saved");
    expect(ada.state.refusals).toHaveLength(1);
    expect(ada.state.document?.nodes["n1"]?.position).toEqual({ x: 5, y: 5 });
    expect(ada.undo()).toBe(true);
    expect(ada.state.document?.title).toBe("");
    expect(ada.undo()).toBe(true);
    expect(ada.state.document?.nodes["n1"]?.position).toEqual({ x: 0, y: 0 });
    await desk.until(() => ada.state.status.kind === "saved");
    expect(ada.state.canUndo).toBe(false);
    desk.server.mood = () => ({ reason: "No", code: "invalid_patch", retry: false });
    ada.redo();
    await desk.until(() => ada.state.status.kind === "saved");
    expect(ada.state.canRedo).toBe(true);
  });

  test("jsc27 what lay in a group comes back into it, and edges with their ends", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    const group = node("g", { position: { x: 100, y: 100 } });
    const child = node("c", { position: { x: 1, y: 2 }, parentId: "g" });
    const edge = { id: "e", source: "g", target: "c" };
    ada.patch({ nodes: { g: group, c: child }, edges: { e: edge } });
    ada.patch({ nodes: { g: null, c: null } });
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document.nodes).toEqual({});
    desk.network.isUp = false;
    desk.network.cut();
    ada.undo();
    desk.network.isUp = true;
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document.nodes).toEqual({ g: group, c: child });
    expect(desk.server.document.edges).toEqual({ e: edge });
  });

  test.each([
    ["a node", "nodes", (y: number) => node("n", { position: { x: 0, y } })],
    ["an edge", "edges", (y: number) => ({ id: "n", source: "a", target: "b", data: { y } })],
  ] as const)("jsc10 %s that somebody else has back is not brought back in part", async (_, kind, making) => {
    const desk = new Desk();
    desk.server.edit({ nodes: { a: node("a"), b: node("b") } });
    desk.network.delay = () => 20;
    const [ada, bob] = [await desk.join(), await desk.join()];
    ada.patch({ [kind]: { n: making(0) } });
    ada.undo();
    bob.patch({ [kind]: { n: making(1) } });
    ada.patch({ [kind]: { n: making(0) } });
    ada.undo();
    await desk.until(() =>
      [ada, bob].every(({ state }) => state.status.unsent === 0 && state.version === desk.server.version),
    );
    for (const step of ["redo", "undo", "redo"] as const) {
      ada[step]();
      await desk.until(() => ada.state.status.kind === "saved");
      expect(ada.state.document).toEqual(desk.server.document);
      expect([undefined, making(0), making(1)]).toContainEqual(desk.server.document[kind]["n"]);
    }
  });
});
