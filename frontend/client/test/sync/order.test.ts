/** What was edited first is sent first, whatever happens to connections and pages. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { publicId } from "../../src/model/ids";
import { split } from "../../src/model/split";
import { Browser } from "../browser";
import { Desk, node, NODE } from "../desk";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.clearAllTimers();
  vi.useRealTimers();
});

describe("order", () => {
  test("jsc3 what is edited while a connection closes comes behind what was on its way", async () => {
    const desk = new Desk();
    desk.server.edit({ nodes: { n1: NODE } });
    const ada = await desk.join();
    desk.network.delay = () => 50;
    // The server closes, and takes nothing any more; the page knows that its connection is CLOSING.
    desk.network.drain();
    ada.patch({ nodes: { n1: { data: { label: "first" } } } });
    ada.patch({ title: "second" });
    await desk.until(() => ada.state.status.kind === "offline");
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.sent.map(({ op_id }) => op_id)).toEqual([1, 2]);
    expect(desk.server.document.title).toBe("second");
    expect(desk.server.document.nodes["n1"]?.data).toEqual({ label: "first" });
  });

  test("jsc3 what pages that are gone have edited comes first, in the order of the edits", async () => {
    const desk = new Desk();
    const browser = new Browser();
    desk.network.isUp = false;
    const pages = [browser.page(), browser.page()];
    const [ada, ben] = pages.map((keeper) => desk.open({ keeper }));
    await desk.pass(10);
    ada?.patch({ nodes: { n1: NODE }, title: "1" });
    await desk.pass(10);
    ben?.patch({ title: "2" });
    await desk.pass(10);
    ada?.patch({ title: "3" });
    ada?.stop();
    ben?.stop();
    pages.forEach((page) => {
      page.die();
    });

    const eve = desk.open({ keeper: browser.page() });
    await desk.pass(10);
    eve.patch({ title: "4", nodes: { n1: { data: { label: "on what isn't there yet" } } } });
    desk.network.isUp = true;
    eve.retryNow();
    await desk.until(() => eve.state.status.kind === "saved");
    expect(desk.server.log.map(({ patch }) => patch["title"])).toEqual(["1", "2", "3", "4"]);
    expect(desk.server.log.map(({ op_id }) => op_id)).toEqual([1, 1, 2, 1]);
    expect(desk.server.document.nodes["n1"]?.data).toEqual({ label: "on what isn't there yet" });
    expect(browser.operations).toEqual([]);
  });

  test("jsc3 what a page that is gone can't deliver isn't waited for", async () => {
    const desk = new Desk();
    const browser = new Browser();
    desk.network.isUp = false;
    const first = browser.page();
    const ada = desk.open({ keeper: first });
    ada.patch({ title: "stuck" });
    ada.stop();
    first.die();
    const eve = desk.open({ keeper: browser.page() });
    await desk.pass(10);
    const away = { reason: "The store is away", code: "store_unavailable", retry: true };
    desk.server.mood = (clientId) => (clientId === ada.clientId ? away : null);
    desk.network.isUp = true;
    eve.retryNow();
    await desk.until(() => eve.state.status.kind === "saving");
    eve.patch({ description: "mine" });
    await desk.pass(5000);
    expect(desk.server.document.description).toBe("");
    await desk.pass(6000);
    expect(desk.server.document.description).toBe("mine");
    desk.server.mood = () => null;
    await desk.until(() => eve.state.status.kind === "saved");
    expect(desk.server.document.title).toBe("stuck");
  });

  test("jsc3 edits take time by their number, not by its square", async () => {
    const desk = new Desk();
    const nodes = Array.from({ length: 300 }, (_, n) => [`n${n}`, node(`n${n}`)]);
    desk.server.edit({ nodes: Object.fromEntries(nodes) });
    const ada = await desk.join();
    const time = async (count: number): Promise<number> => {
      desk.network.isUp = false;
      desk.network.cut();
      for (let n = 0; n < count; n += 1) {
        ada.patch({ nodes: { [`n${n % 300}`]: { data: { count, n } } } });
      }
      desk.network.isUp = true;
      ada.retryNow();
      const before = process.cpuUsage().user;
      await desk.until(() => ada.state.status.kind === "saved");
      return process.cpuUsage().user - before;
    };
    await time(100);
    const [few, many] = [await time(200), await time(1600)];
    // Eight times as many; their square would be 64 times as much.
    expect(many / few).toBeLessThan(24);
  });

  test("jsc4 parts of a patch come in an order in which each can be taken", () => {
    const patch = {
      title: "T",
      nodes: { child: { ...node("child"), parentId: "group" }, gone: null, group: node("group") },
      edges: { e1: { id: "e1", source: "child", target: "group" }, e2: null },
    };
    const parts = split(patch, 90);
    expect(parts).toEqual([
      { title: "T", nodes: { group: patch.nodes.group } },
      { nodes: { child: patch.nodes.child } },
      { edges: patch.edges },
      { nodes: { gone: null } },
    ]);
    expect(split(patch, 10_000)).toEqual([patch]);
  });

  test("jsc4 a change too large for one patch goes out in parts, and is one step of undo", async () => {
    const desk = new Desk();
    desk.server.limits = { max_frame_bytes: 16 * 1024, max_patch_bytes: 2048 };
    const browser = new Browser();
    const ada = await desk.join({ keeper: browser.page() });
    const ids = Array.from({ length: 100 }, (_, n) => `n${n}`);
    ada.patch({ nodes: Object.fromEntries(ids.map((id) => [id, node(id)])) });
    expect(browser.operations.length).toBeGreaterThan(2);
    await desk.until(() => ada.state.status.kind === "saved");
    expect(Object.keys(desk.server.document.nodes)).toHaveLength(100);
    expect(browser.operations).toEqual([]);
    ada.undo();
    expect(ada.state.document?.nodes).toEqual({});
  });
});

describe("names", () => {
  test("jsc8 a page that stops and starts keeps its name, or takes another where it is taken", async () => {
    const desk = new Desk();
    const browser = new Browser();
    const keeper = browser.page();
    const ada = await desk.join({ keeper });
    const { clientId } = ada;
    ada.stop();
    ada.start();
    await desk.until(() => ada.state.status.kind === "saved");
    expect(ada.clientId).toBe(clientId);
    expect([...browser.holders.keys()].map(publicId)).toEqual([clientId]);

    desk.network.isUp = false;
    desk.network.cut();
    ada.patch({ title: "left" });
    ada.stop();
    // Another page takes over what is unsent, and its name.
    const ben = desk.open({ keeper: browser.page() });
    await desk.pass(10);
    ada.start();
    await desk.pass(1000);
    expect(ada.clientId).not.toBe(clientId);
    ada.patch({ description: "own" });
    desk.network.isUp = true;
    [ada, ben].forEach((page) => {
      page.retryNow();
    });
    await desk.until(() => [ada, ben].every(({ state }) => state.status.kind === "saved"));
    expect(desk.server.document).toMatchObject({ title: "left", description: "own" });
    expect(desk.server.log.map(({ client_id }) => client_id).sort()).toEqual(
      [clientId, ada.clientId].sort(),
    );
    expect(browser.operations).toEqual([]);
  });
});

describe("a page that comes back while another one sends what it left", () => {
  test.each([
    ["at once", false],
    ["once the page has another name", true],
  ])("jsc3 jsc8 loses nothing of what it edits meanwhile, and sends it behind what is taken %s", async (_, isLate) => {
    const desk = new Desk();
    desk.server.limits = { max_frame_bytes: 16 * 1024, max_patch_bytes: 2048 };
    const browser = new Browser();
    const ada = await desk.join({ keeper: browser.page() });
    desk.network.isUp = false;
    desk.network.cut();
    // Who sends it has to send it in parts.
    const ids = Array.from({ length: 100 }, (_, n) => `n${n}`);
    ada.patch({ nodes: Object.fromEntries(ids.map((id) => [id, node(id)])) });
    ada.patch({ title: "left" });
    ada.stop();
    desk.network.isUp = true;
    const away = { reason: "The store is away", code: "store_unavailable", retry: true };
    desk.server.mood = () => (isLate ? away : null);
    const ben = desk.open({ keeper: browser.page() });
    await desk.until(() => browser.holders.size === 2);
    ada.start();
    ada.undo();
    ada.patch({ title: "meanwhile" });
    ada.patch({ nodes: { n0: { data: { label: "first" } } } });
    for (const description of ["a", "ab", "abc", "abcd", "abcde"]) {
      ada.gather("description", { description });
      await desk.pass(60);
    }
    await desk.pass(1_000);
    desk.server.mood = () => null;
    ada.patch({ nodes: { n0: { data: { label: "second" } } } });
    await desk.until(() => [ada, ben].every(({ state }) => state.status.kind === "saved"));
    const { nodes, title, description } = desk.server.document;
    expect({ title, description }).toEqual({ title: "meanwhile", description: "abcde" });
    expect(Object.keys(nodes)).toHaveLength(100);
    expect(nodes["n0"]?.data).toEqual({ label: "second" });
    expect([ada, ben].map(({ state }) => state.document)).toEqual([desk.server.document, desk.server.document]);
    expect(browser.operations).toEqual([]);
    const marks = desk.server.log.flatMap(({ patch }) => {
      const label = (patch["nodes"] as Record<string, { data?: { label?: string } }> | undefined)?.["n0"]?.data?.label;
      return [patch["title"], patch["description"], label].filter((one) => one !== undefined);
    });
    const parts: unknown[] = ["a", "ab", "abc", "abcd"];
    const typed = marks.filter((one) => !parts.includes(one));
    expect(typed).toEqual(["left", "", "meanwhile", "first", "abcde", "second"]);
  });
});

describe("a page that is stopped", () => {
  test("jsc10 takes back what another page has sent meanwhile by a change, not as if it had never been", async () => {
    const desk = new Desk();
    const browser = new Browser();
    const ada = await desk.join({ keeper: browser.page() });
    desk.network.isUp = false;
    desk.network.cut();
    ada.patch({ title: "before it stopped" });
    ada.stop();
    ada.patch({ description: "since" });
    desk.network.isUp = true;
    await desk.join({ keeper: browser.page() });
    expect(desk.server.document).toMatchObject({ title: "before it stopped", description: "since" });
    expect([ada.undo(), ada.undo()]).toEqual([true, true]);
    ada.start();
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document).toMatchObject({ title: "", description: "" });
    expect(ada.state.document).toEqual(desk.server.document);
    expect(browser.operations).toEqual([]);
  });
});

describe("a page that was taken for gone", () => {
  test("jsc8 goes on under another name, and what it had not sent is sent once", async () => {
    const desk = new Desk();
    const browser = new Browser();
    const keeper = browser.page();
    const ada = await desk.join({ keeper });
    const { clientId } = ada;
    const away = { reason: "The store is away", code: "store_unavailable", retry: true };
    desk.server.mood = (client) => (client === clientId && desk.sent.length < 3 ? away : null);
    ada.patch({ title: "first" });
    // It sleeps, and its lease of the name ends.
    keeper.die();
    const ben = desk.open({ keeper: browser.page() });
    await desk.until(() => ada.clientId !== clientId);
    ada.patch({ description: "more" });
    await desk.until(() => [ada, ben].every(({ state }) => state.status.kind === "saved"));
    expect(desk.server.document).toMatchObject({ title: "first", description: "more" });
    expect(desk.server.log).toHaveLength(2);
    expect(browser.operations).toEqual([]);
  });
});

describe("what an empty flow begins with", () => {
  const initial = { nodes: { n1: NODE } };

  test("jsc16 is not kept, and not sent to a flow that has been begun meanwhile", async () => {
    const desk = new Desk();
    const browser = new Browser();
    desk.server.mood = () => ({ reason: "Away", code: "store_unavailable", retry: true });
    const ada = desk.open({ keeper: browser.page(), initial });
    await desk.until(() => ada.state.status.unsent === 1);
    expect(browser.operations).toEqual([]);
    desk.network.isUp = false;
    desk.network.cut();
    desk.server.edit({ nodes: { n1: { ...NODE, data: { label: "theirs" } } } });
    desk.server.mood = () => null;
    desk.network.isUp = true;
    ada.retryNow();
    await desk.until(() => ada.state.status.kind === "saved");
    await desk.pass(1000);
    expect(desk.server.log).toHaveLength(1);
    expect(ada.state.document).toEqual(desk.server.document);
  });

  test("jsc16 is never in the log where somebody was faster by a moment", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    desk.network.delay = () => 50;
    const late = desk.open({ initial });
    await desk.until(() => late.state.status.unsent === 1);
    desk.server.edit({ nodes: { n1: { ...NODE, position: { x: 7, y: 7 } }, n2: node("n2") } });
    await desk.until(() => late.state.status.kind === "saved" && late.state.version === 1);
    await desk.until(() => ada.state.version === 1);
    await desk.pass(1000);
    expect(desk.server.log).toHaveLength(1);
    const theirs = { n1: { ...NODE, position: { x: 7, y: 7 } }, n2: node("n2") };
    expect(late.state.document?.nodes).toEqual(theirs);
    expect(ada.state.document?.nodes).toEqual(theirs);
    expect(late.state).toMatchObject({ canUndo: false, refusals: [], dropped: [] });
  });

  test("jsc16 of two pages at once one begins the flow", async () => {
    const desk = new Desk();
    desk.network.delay = () => 50;
    const pages = ["a", "b"].map((title) => desk.open({ initial: { title, nodes: { n1: NODE } } }));
    await desk.until(() => pages.every(({ state }) => state.status.unsent === 1));
    await desk.until(() => pages.every(({ state }) => state.status.kind === "saved"));
    await desk.pass(1000);
    expect(desk.server.log).toHaveLength(1);
    expect(pages.map(({ state }) => state.document)).toEqual(pages.map(() => desk.server.document));
  });

  test("jsc16 is in the log once, though the answer was lost", async () => {
    const desk = new Desk();
    desk.network.delay = () => 300;
    const ada = desk.open({ initial });
    await desk.until(() => desk.server.version === 1);
    desk.network.cut();
    desk.server.edit({ title: "theirs" });
    desk.server.isWhole = true;
    await desk.until(() => ada.state.version === 2 && ada.state.status.kind === "saved");
    expect(desk.server.log).toHaveLength(2);
    expect(ada.state.refusals).toEqual([]);
    expect(ada.state.document).toEqual(desk.server.document);
  });

  test("jsc16 doesn't come back where all that was in the flow has been deleted", async () => {
    const desk = new Desk();
    const ada = await desk.join({ initial });
    ada.patch({ nodes: { n1: null } });
    await desk.until(() => ada.state.status.kind === "saved");
    const ben = await desk.join({ initial });
    await desk.pass(1000);
    expect(ben.state.document?.nodes).toEqual({});
    expect(desk.server.log).toHaveLength(2);
  });

  test("jsc16 what was edited on top of it goes out behind it, or is told of as lost", async () => {
    const desk = new Desk();
    desk.network.delay = () => 50;
    const ada = desk.open({ initial });
    await desk.until(() => ada.state.status.unsent === 1);
    ada.patch({ nodes: { n1: { position: { x: 9 } } } });
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document.nodes["n1"]?.position.x).toBe(9);
  });

  describe("in parts", () => {
    const large = Object.fromEntries(
      [1, 2, 3].map((n) => [`n${n}`, node(`n${n}`, { data: { text: "x".repeat(900) } })]),
    );
    const some = { nodes: large };

    test("jsc16 jsc4 begins with all of them, each kept once the first is there", async () => {
      const desk = new Desk();
      const browser = new Browser();
      desk.server.limits = { max_patch_bytes: 1200 };
      desk.network.delay = () => 50;
      desk.server.mood = (_, opId) =>
        opId === 4 ? { reason: "Away", code: "store_unavailable", retry: true } : null;
      const first = browser.page();
      const ada = desk.open({ keeper: first, initial: some });
      await desk.until(() => desk.server.version === 1);
      desk.server.edit({ title: "theirs" });
      expect(browser.operations).toEqual([]);
      await desk.until(() => desk.server.version === 3);
      await desk.until(() => browser.operations.length === 1);
      first.die();
      vi.clearAllTimers();
      desk.network.cut();
      desk.server.mood = () => null;
      const next = await desk.join({ keeper: browser.page() });
      await desk.until(() => next.state.status.kind === "saved");
      expect(ada.state.status.kind).not.toBe("saved");
      expect(Object.keys(desk.server.document.nodes).sort()).toEqual(["n1", "n2", "n3"]);
    });

    test("jsc16 jsc4 none of them is sent to a flow that has begun", async () => {
      const desk = new Desk();
      desk.server.limits = { max_patch_bytes: 1200 };
      desk.network.delay = () => 50;
      const late = desk.open({ initial: some });
      await desk.until(() => late.state.status.unsent === 3);
      desk.server.edit({ title: "theirs" });
      await desk.until(() => late.state.status.kind === "saved");
      await desk.pass(1000);
      expect(desk.server.log).toHaveLength(1);
      expect(late.state.document).toEqual(desk.server.document);
    });
  });
});
