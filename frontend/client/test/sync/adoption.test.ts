/** What pages that are gone have left unsent: in which order it goes out, and that none of it is lost. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import type { FlowSync } from "../../src/sync/sync";
import type { FlowKeeper, Kept } from "../../src/types";
import { Browser } from "../browser";
import { Desk } from "../desk";

const AWAY = { reason: "The store is away", code: "store_unavailable", retry: true };

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.clearAllTimers();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function goOffline(desk: Desk): void {
  desk.network.isUp = false;
  desk.network.cut();
}

function goOnline(desk: Desk, page: FlowSync): void {
  desk.network.isUp = true;
  page.retryNow();
}

function titles(desk: Desk): unknown[] {
  return desk.server.log.map(({ patch }) => patch["title"]);
}

/** A page opens the flow offline, changes its title some times, and is gone; gives who that was. */
async function left(desk: Desk, browser: Browser, ...given: string[]): Promise<string> {
  const keeper = browser.page();
  const page = desk.open({ keeper });
  await desk.pass(10);
  for (const title of given) {
    page.patch({ title });
    await desk.pass(10);
  }
  page.stop();
  keeper.die();
  return page.clientId;
}

/** The real time, in milliseconds, also where the clock is a test's own. */
const realTime = performance.now.bind(performance);

describe("very many changes that undo very many", () => {
  test("jsc45 are taken over at once", async () => {
    const undoes = Array.from({ length: 3_000 }, (_, n) => n + 1);
    const operations = undoes.map((opId) => ({ clientId: "a", opId, patch: { title: "x" }, undoes, replaces: { version: 0, values: {} } }));
    const keeper: FlowKeeper = {
      load: () => Promise.resolve({ document: null, operations }),
      put: () => true,
      remove: () => undefined,
      putDocument: () => undefined,
      hold: () => Promise.resolve(() => undefined),
    };
    const desk = new Desk();
    goOffline(desk);
    const before = realTime();
    const page = desk.open({ keeper });
    await desk.until(() => page.state.status.unsent === undoes.length);
    expect(realTime() - before).toBeLessThan(6_000);
    page.stop();
  });
});

describe("the order", () => {
  test("jsc3 is that of the edits, though the clock was set back between two pages", async () => {
    const desk = new Desk();
    const browser = new Browser();
    goOffline(desk);
    await left(desk, browser, "1");
    vi.setSystemTime(Date.now() - 3_600_000);
    await left(desk, browser, "2", "3");
    goOnline(desk, await afterwards(desk, browser));
    await desk.until(() => browser.operations.length === 0);
    expect(titles(desk)).toEqual(["1", "2", "3"]);
  });

  test("jsc3 has what an older page has left before what this page has not sent", async () => {
    const desk = new Desk();
    const browser = new Browser();
    const dying = browser.page();
    const [old, ada] = [await desk.join({ keeper: dying }), await desk.join({ keeper: browser.page() })];
    goOffline(desk);
    old.patch({ title: "1" });
    await desk.pass(10);
    ada.patch({ title: "2" });
    old.stop();
    dying.die();
    // It looks for what others have left, and shows its own on top of that.
    await desk.until(() => ada.state.status.unsent === 2);
    expect(ada.state.document?.title).toBe("2");
    goOnline(desk, ada);
    await desk.until(() => ada.state.status.kind === "saved");
    expect(titles(desk)).toEqual(["1", "2"]);
    expect(desk.server.log.map(({ client_id }) => client_id)).toEqual([old.clientId, ada.clientId]);
  });

  test("jsc3 stays where one of what was left is refused for now", async () => {
    const desk = new Desk();
    const browser = new Browser();
    goOffline(desk);
    const gone = await left(desk, browser, "1", "2");
    const ada = await afterwards(desk, browser);
    ada.patch({ title: "3" });
    let refusals = 3;
    desk.server.mood = (clientId, opId) => {
      refusals -= clientId === gone && opId === 1 ? 1 : 0;
      return clientId === gone && refusals >= 0 ? AWAY : null;
    };
    goOnline(desk, ada);
    await desk.until(() => ada.state.status.kind === "saved");
    expect(refusals).toBeLessThan(0);
    expect(titles(desk)).toEqual(["1", "2", "3"]);
    expect(browser.operations).toEqual([]);
  });

  test("jsc3 stays where the page that sends what was left is gone midway, and nothing is there twice", async () => {
    const desk = new Desk();
    const browser = new Browser();
    goOffline(desk);
    await left(desk, browser, "1", "2", "3");
    const closing = browser.page();
    const ada = desk.open({ keeper: closing });
    await desk.pass(10);
    ada.patch({ title: "4" });
    desk.network.delay = () => 100;
    desk.server.mood = (_, opId) => (opId > 1 || desk.server.version > 0 ? AWAY : null);
    goOnline(desk, ada);
    // The server has the first; its answer never comes to this page.
    await desk.until(() => desk.server.version === 1);
    goOffline(desk);
    ada.stop();
    closing.die();
    expect(browser.operations).toHaveLength(4);
    desk.server.mood = () => null;
    goOnline(desk, await afterwards(desk, browser));
    await desk.until(() => browser.operations.length === 0);
    expect(titles(desk)).toEqual(["1", "2", "3", "4"]);
  });
});

describe("storage that doesn't tell all", () => {
  test("jsc22 what isn't found there now isn't taken for sent", async () => {
    const desk = new Desk();
    const browser = new Browser();
    goOffline(desk);
    await left(desk, browser, "1");
    const page = browser.page();
    let isSlow = false;
    const load = (flowId: string): Promise<Kept> =>
      isSlow ? new Promise(() => undefined) : page.load(flowId);
    const keeper: FlowKeeper = { ...page, load };
    const ada = desk.open({ keeper });
    await desk.pass(10);
    expect(ada.state.status.unsent).toBe(1);
    ada.stop();
    isSlow = true;
    ada.start();
    await desk.pass(40_000);
    expect(ada.state).toMatchObject({ status: { unsent: 1 }, document: null });
    isSlow = false;
    goOnline(desk, ada);
    await desk.until(() => browser.operations.length === 0);
    await desk.until(() => ada.state.status.kind === "saved");
    expect(titles(desk)).toEqual(["1"]);
  });

  test("jsc22 one look that fails doesn't end all others", async () => {
    const failed = vi.spyOn(console, "error").mockReturnValue();
    const desk = new Desk();
    const browser = new Browser();
    const ada = await desk.join({ keeper: browser.page() });
    goOffline(desk);
    let isBroken = true;
    ada.subscribe(() => {
      if (isBroken && ada.state.status.unsent > 0) {
        throw new Error("an app's listener");
      }
    });
    await left(desk, browser, "1");
    await desk.until(() => failed.mock.calls.length > 0);
    isBroken = false;
    ada.stop();
    ada.start();
    goOnline(desk, ada);
    await desk.until(() => titles(desk).length === 1);
    await desk.until(() => ada.state.status.kind === "saved");
    expect(browser.operations).toEqual([]);
  });
});

/** A page that comes after those. */
async function afterwards(desk: Desk, browser: Browser): Promise<FlowSync> {
  const page = desk.open({ keeper: browser.page() });
  await desk.pass(10);
  return page;
}
