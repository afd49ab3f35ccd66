import "fake-indexeddb/auto";

import { IDBFactory } from "fake-indexeddb";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { emptyDocument } from "../../src/model/document";
import { CALM } from "../../src/sync/firstlook";
import { holdByLease, LEASE } from "../../src/sync/holding";
import { BrowserKeeper } from "../../src/sync/keeper";
import { Browser } from "../browser";
import { Desk, NODE } from "../desk";
import { FakeStorage } from "../storage";

beforeEach(() => {
  vi.stubGlobal("indexedDB", new IDBFactory());
  vi.stubGlobal("localStorage", new FakeStorage());
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const SMALL = { clientId: "c", opId: 2, patch: { title: "A" } };
const LARGE = { clientId: "c", opId: 1, patch: { title: "x".repeat(70_000) } };

describe("the browser's keeper", () => {
  test("jsc8 what was kept is found by the next page, by its order", async () => {
    const keeper = new BrowserKeeper();
    const document = { epoch: "e", version: 3, document: emptyDocument() };
    void keeper.put("demo", SMALL);
    void keeper.put("demo", LARGE);
    void keeper.put("other", SMALL);
    keeper.putDocument("demo", document);
    await keeper.load("demo");
    expect(Object.keys(localStorage)).toHaveLength(2);
    expect(await new BrowserKeeper().load("demo")).toMatchObject({ document, operations: [LARGE, SMALL] });
    expect(await new BrowserKeeper().load("none")).toMatchObject({ document: null, operations: [] });
  });

  test("acc212 what is kept under another name is apart from it", async () => {
    const [keeper, other] = [new BrowserKeeper(), new BrowserKeeper("helix-flows/some/helix")];
    void keeper.put("demo", SMALL);
    void other.put("demo", LARGE);
    other.putDocument("demo", { epoch: "e", version: 3, document: emptyDocument() });
    expect(await new BrowserKeeper().load("demo")).toMatchObject({ document: null, operations: [SMALL] });
    expect(await new BrowserKeeper("helix-flows/some/helix").load("demo")).toMatchObject({ document: { version: 3 }, operations: [LARGE] });
    expect(await new BrowserKeeper("helix-flows/some").unsentFlows()).toEqual(new Map());
    keeper.remove("demo", SMALL.clientId, SMALL.opId);
    expect(await keeper.unsentFlows()).toEqual(new Map());
    expect(await other.unsentFlows()).toEqual(new Map([["demo", 1]]));
  });

  test("jsc45 the operations of one flow are found without those of all others", async () => {
    const keeper = new BrowserKeeper();
    for (let n = 0; n < 300; n += 1) {
      void keeper.put(`flow${n}`, SMALL);
      void keeper.put(`flow${n}"]`, SMALL);
    }
    const parse = vi.spyOn(JSON, "parse");
    expect((await keeper.load("flow7")).operations).toEqual([SMALL]);
    expect(parse.mock.calls.length).toBeLessThan(10);
    parse.mockRestore();
    expect((await keeper.unsentFlows()).size).toBe(600);
  });

  test("jsc8 what was removed is gone, and what has grown is what it became", async () => {
    const keeper = new BrowserKeeper();
    void keeper.put("demo", SMALL);
    void keeper.put("demo", LARGE);
    void keeper.put("demo", { ...SMALL, patch: LARGE.patch });
    keeper.remove("demo", "c", 1);
    const { operations } = await new BrowserKeeper().load("demo");
    expect(operations).toEqual([{ ...SMALL, patch: LARGE.patch }]);
    await keeper.load("demo");
    keeper.remove("demo", "c", 2);
    expect((await new BrowserKeeper().load("demo")).operations).toEqual([]);
  });

  test("jsc8 small ones are kept at once, as long as there is room", async () => {
    const keeper = new BrowserKeeper();
    void keeper.put("demo", SMALL);
    expect(Object.keys(localStorage)).toHaveLength(1);
    for (let opId = 3; opId < 9; opId += 1) {
      void keeper.put("demo", { clientId: "c", opId, patch: { title: "x".repeat(30_000) } });
    }
    expect((await new BrowserKeeper().load("demo")).operations).toHaveLength(7);
  });

  test("jsc8 where nothing can be kept, nothing fails", async () => {
    vi.stubGlobal("indexedDB", undefined);
    vi.stubGlobal("localStorage", undefined);
    const keeper = new BrowserKeeper();
    void keeper.put("demo", SMALL);
    keeper.remove("demo", "c", 2);
    keeper.putDocument("demo", { epoch: "e", version: 0, document: emptyDocument() });
    expect(await keeper.load("demo")).toMatchObject({ document: null, operations: [] });
  });

  test("jsc8 a name is held by one, until it lets go", async () => {
    const [one, other] = [new BrowserKeeper(), new BrowserKeeper()];
    const release = await one.hold("demo", "c");
    expect(await other.hold("demo", "c")).toBeNull();
    expect(await other.hold("demo", "d")).not.toBeNull();
    release?.();
    await vi.waitFor(async () => {
      expect(await other.hold("demo", "c")).not.toBeNull();
    });
  });

  test("jsc8 without locks, a lease does: it is renewed, and free when its page says nothing", async () => {
    vi.useFakeTimers();
    const hold = async (): Promise<(() => void) | null> => {
      const held = holdByLease("name");
      await vi.advanceTimersByTimeAsync(100);
      return held;
    };
    vi.stubGlobal("addEventListener", () => undefined);
    vi.stubGlobal("removeEventListener", () => undefined);
    const release = await hold();
    expect(await hold()).toBeNull();
    await vi.advanceTimersByTimeAsync(2 * LEASE);
    expect(await hold()).toBeNull();
    release?.();
    // This page is no more, and renews nothing.
    const { setInterval } = globalThis;
    globalThis.setInterval = (() => 0) as unknown as typeof setInterval;
    expect(await hold()).not.toBeNull();
    globalThis.setInterval = setInterval;
    await vi.advanceTimersByTimeAsync(LEASE);
    const both = [holdByLease("name"), holdByLease("name")];
    await vi.advanceTimersByTimeAsync(100);
    expect((await Promise.all(both)).filter((one) => one !== null)).toHaveLength(1);
    vi.clearAllTimers();
  });

  test("clk1 a dead page's lease doesn't hold for longer because the clock was set back", async () => {
    vi.useFakeTimers();
    vi.stubGlobal("addEventListener", () => undefined);
    localStorage.setItem("set back", JSON.stringify({ page: "dead", until: Date.now() + 3_600_000 }));
    const held = holdByLease("set back");
    await vi.advanceTimersByTimeAsync(100);
    expect(await held).not.toBeNull();
    vi.clearAllTimers();
  });
});

describe("pages that are gone", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });

  test("jsc8 a tab closed before the acknowledgement loses nothing, and nothing counts twice", async () => {
    const desk = new Desk();
    const browser = new Browser();
    const first = browser.page();
    const ada = await desk.join({ keeper: first });
    ada.patch({ nodes: { n1: NODE } });
    desk.network.delay = () => 300;
    await desk.until(() => desk.server.version === 1);
    desk.network.isUp = false;
    desk.network.delay = () => 1;
    desk.network.cut();
    ada.gather("title", { title: "typed offl" });
    ada.gather("title", { title: "typed offline" });
    // No last words: the page is killed.
    first.die();
    vi.clearAllTimers();
    expect(browser.operations.map(({ opId }) => opId)).toEqual([1, 2]);

    desk.network.isUp = true;
    const [eve, ben] = [desk.open({ keeper: browser.page() }), desk.open({ keeper: browser.page() })];
    await desk.until(() => [eve, ben].every(({ state }) => state.version === 2));
    await desk.pass(1000);
    expect(desk.server.document.title).toBe("typed offline");
    expect(desk.server.log.map(({ client_id, op_id }) => [client_id, op_id])).toEqual([
      [ada.clientId, 1],
      [ada.clientId, 2],
    ]);
    expect(browser.operations).toEqual([]);
    expect([eve.state.status.kind, ben.state.status.kind]).toEqual(["saved", "saved"]);
    const heirs = new Set(
      desk.server.heard
        .filter(({ frame }) => frame[3] === "patch" && frame[4]["op_id"] === 2)
        .map(({ wire }) => wire),
    );
    expect(heirs.size).toBe(1);
  });

  test("jsc8 offline, the next page shows the document, and what the last one left", async () => {
    const desk = new Desk();
    const browser = new Browser();
    const first = browser.page();
    desk.server.edit({ nodes: { n1: NODE } });
    const ada = await desk.join({ keeper: first });
    await desk.pass(3000);
    desk.network.isUp = false;
    desk.network.cut();
    ada.patch({ title: "offline" });
    ada.stop();
    first.die();

    const eve = desk.open({ keeper: browser.page() });
    await desk.until(() => eve.state.status.kind === "offline");
    expect(eve.state.document).toMatchObject({ title: "offline", nodes: { n1: NODE } });
    expect(eve.state.status.unsent).toBe(1);
    eve.patch({ description: "more" });
    desk.network.isUp = true;
    await desk.until(() => eve.state.status.kind === "saved");
    expect(desk.server.document).toMatchObject({ title: "offline", description: "more" });
  });

  test("jsc8 a document that came whole is kept before anything is edited on top of it", async () => {
    const desk = new Desk();
    const browser = new Browser();
    const first = browser.page();
    desk.server.edit({ nodes: { n1: NODE } });
    const ada = await desk.join({ keeper: first });
    desk.network.isUp = false;
    desk.network.cut();
    ada.patch({ title: "at once" });
    // No last words: a browser may not write what its page asks for when it ends.
    first.die();
    vi.clearAllTimers();

    const eve = desk.open({ keeper: browser.page() });
    await desk.until(() => eve.state.status.kind === "offline");
    expect(eve.state.document).toMatchObject({ title: "at once", nodes: { n1: NODE } });
  });

  test("jsc44 where a page has crashed, the next one shows the server's document first", async () => {
    const desk = new Desk();
    const browser = new Browser();
    const first = browser.page();
    desk.server.edit({ nodes: { n1: { ...NODE, odd: true } } });
    const ada = await desk.join({ keeper: first });
    desk.network.isUp = false;
    desk.network.cut();
    ada.patch({ title: "unsent" });
    ada.doubtKept();
    ada.stop();
    first.die();
    vi.clearAllTimers();
    expect(browser.document).toMatchObject({ version: 1, isDoubtful: true });

    desk.server.edit({ nodes: { n1: { odd: null } } });
    desk.network.isUp = true;
    const seen = new Set<unknown>();
    const eve = desk.open({ keeper: browser.page() });
    eve.subscribe(() => seen.add(eve.state.document?.nodes["n1"]?.["odd"]));
    await desk.until(() => eve.state.status.kind === "saved");
    await desk.pass(1000);
    expect([...seen]).toEqual([undefined]);
    expect(desk.server.document).toMatchObject({ title: "unsent", nodes: { n1: NODE } });
    expect(browser.document?.isDoubtful).toBeUndefined();
  });

  test("jsc44 so is it where the page before never went on from what it showed first", async () => {
    const desk = new Desk();
    const browser = new Browser();
    const first = browser.page();
    desk.server.edit({ title: "hangs" });
    const ada = desk.open({ keeper: first });
    await desk.until(() => ada.state.document !== null);
    first.die();
    vi.clearAllTimers();
    desk.network.cut();
    desk.server.edit({ title: "fine" });
    expect(browser.document?.document.title).toBe("hangs");

    const titlesOfNext = async (): Promise<unknown[]> => {
      const seen = new Set<unknown>();
      const page = browser.page();
      const next = desk.open({ keeper: page });
      next.subscribe(() => seen.add(next.state.document?.title));
      await desk.until(() => next.state.status.kind === "saved");
      next.stop();
      page.die();
      return [...seen].filter(Boolean);
    };
    vi.setSystemTime(Date.now() + 2 * CALM);
    expect(await titlesOfNext()).toEqual(["fine"]);
    desk.server.edit({ title: "finer" });
    // That one was left in the usual way.
    vi.setSystemTime(Date.now() + 2 * CALM);
    expect(await titlesOfNext()).toEqual(["fine", "finer"]);
  });

  test("jsc44 what a page that crashed has kept is shown where the server can't be reached", async () => {
    const desk = new Desk();
    const browser = new Browser();
    desk.server.edit({ nodes: { n1: NODE } });
    const ada = await desk.join({ keeper: browser.page() });
    ada.doubtKept();
    ada.stop();
    desk.network.isUp = false;

    const eve = desk.open({ keeper: browser.page() });
    await desk.until(() => eve.state.status.kind === "offline");
    expect(eve.state.document).toMatchObject({ nodes: { n1: NODE } });
    desk.network.isUp = true;
    await desk.until(() => eve.state.status.kind === "saved");
  });

  test("jsc8 what a tab leaves is taken over by one that is open already", async () => {
    const desk = new Desk();
    const browser = new Browser();
    const first = browser.page();
    const ben = await desk.join({ keeper: browser.page() });
    const ada = await desk.join({ keeper: first });
    desk.server.mood = (clientId) =>
      clientId === ada.clientId && browser.holders.has(ada.clientId)
        ? { reason: "Busy", code: "store_unavailable", retry: true }
        : null;
    ada.patch({ title: "left" });
    await desk.pass(100);
    ada.stop();
    first.die();
    desk.server.mood = () => null;
    await desk.until(() => ben.state.document?.title === "left");
    await desk.until(() => ben.state.status.kind === "saved");
    expect(browser.operations).toEqual([]);
    await desk.until(() => desk.server.memberIds.length === 1);
  });

  test("jsc8 two tabs of one browser keep out of each other's way", async () => {
    const desk = new Desk();
    const browser = new Browser();
    const [ada, ben] = [
      await desk.join({ keeper: browser.page() }),
      await desk.join({ keeper: browser.page() }),
    ];
    ada.patch({ title: "A" });
    ben.patch({ description: "B" });
    await desk.pass(60_000);
    expect(desk.server.log.map(({ client_id }) => client_id).sort()).toEqual(
      [ada.clientId, ben.clientId].sort(),
    );
    expect(desk.sent).toHaveLength(2);
    expect(browser.operations).toEqual([]);
  });
});
