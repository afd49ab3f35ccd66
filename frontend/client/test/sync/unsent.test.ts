/** What is sent of flows that no page has open. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { Unsent } from "../../src/sync/unsent";
import type { UnsentEvent, UnsentOptions } from "../../src/types";
import { Browser } from "../browser";
import { Desk, NODE } from "../desk";

const DELETED = { reason: "The flow is deleted", code: "flow_deleted", retry: false, close: true };

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.clearAllTimers();
  vi.useRealTimers();
});

/** Somebody has a page open that isn't the flow's. */
function home(desk: Desk, browser: Browser, options: UnsentOptions = {}): Unsent {
  const unsent = new Unsent({
    url: "http://helix.test",
    webSocket: desk.network.webSocket,
    random: Math.random,
    keeper: browser.page(),
    ...options,
  });
  unsent.start();
  return unsent;
}

/** A page edits the flow while it is offline, and is gone. */
async function left(desk: Desk, browser: Browser, ...titles: string[]): Promise<void> {
  const page = browser.page();
  const ada = await desk.join({ keeper: page });
  desk.network.isUp = false;
  desk.network.cut();
  titles.forEach((title) => {
    ada.patch({ title });
  });
  ada.stop();
  page.die();
  desk.network.isUp = true;
}

describe("what is unsent of flows that no page has open", () => {
  test("jsc21 is sent by another flow's page, or none's, once and in order", async () => {
    const desk = new Desk();
    const browser = new Browser();
    desk.server.edit({ nodes: { n1: NODE } });
    const pages = [browser.page(), browser.page()];
    const syncs = await Promise.all(pages.map((keeper) => desk.join({ keeper })));
    desk.network.isUp = false;
    desk.network.cut();
    for (const [n, title] of ["one", "two", "three"].entries()) {
      syncs[n % 2]?.patch({ title });
      await desk.pass(1);
    }
    syncs.forEach((sync) => {
      sync.stop();
    });
    desk.network.isUp = true;
    const unsent = home(desk, browser);
    await desk.until(() => unsent.flows.length === 1);
    expect(unsent.flows).toMatchObject([{ flowId: "demo", count: 3, error: null }]);
    expect(await unsent.document("demo")).toMatchObject({ title: "three", nodes: { n1: NODE } });
    await desk.until(() => unsent.flows.length === 0);
    await desk.pass(60_000);
    expect(desk.server.log.map(({ patch }) => patch["title"])).toEqual([
      undefined, "one", "two", "three",
    ]);
    expect(browser.operations).toEqual([]);
    expect(browser.holders.size).toBe(0);
    expect(desk.server.memberIds).toEqual([]);
  });

  test("jsc21 is sent a moment after the page that was left has let go of it", async () => {
    const desk = new Desk();
    const browser = new Browser();
    const page = browser.page();
    const ada = await desk.join({ keeper: page });
    desk.network.isUp = false;
    desk.network.cut();
    ada.patch({ title: "left" });
    home(desk, browser);
    await desk.pass(100);
    ada.stop();
    page.die();
    desk.network.isUp = true;
    await desk.pass(1_000);
    expect(desk.server.document.title).toBe("left");
  });

  test("jsc21 is left alone where a page has the flow open", async () => {
    const desk = new Desk();
    const browser = new Browser();
    const ada = await desk.join({ keeper: browser.page() });
    desk.server.mood = () => ({ reason: "Busy", code: "store_unavailable", retry: true });
    ada.patch({ title: "A" });
    const unsent = home(desk, browser);
    await desk.pass(60_000);
    expect(unsent.flows).toMatchObject([{ flowId: "demo", count: 1, error: null }]);
    expect(desk.server.memberIds).toEqual([ada.clientId]);
    await left(desk, browser, "B");
    const here = home(desk, browser, { except: "demo" });
    unsent.stop();
    await desk.pass(60_000);
    expect(here.flows[0]?.error).toBeNull();
  });

  test("jsc21 stays where the flow is deleted, until it is thrown away", async () => {
    const desk = new Desk();
    const browser = new Browser();
    await left(desk, browser, "one");
    desk.server.joinMood = () => DELETED;
    const unsent = home(desk, browser);
    await desk.until(() => unsent.flows[0]?.error !== null && unsent.flows.length > 0);
    await desk.pass(120_000);
    expect(desk.server.heardEvents("phx_join")).toHaveLength(2);
    expect(unsent.flows).toMatchObject([{ count: 1, error: { code: "flow_deleted" } }]);
    const putBack = await unsent.discard("demo");
    expect(unsent.flows).toEqual([]);
    desk.server.joinMood = () => null;
    putBack();
    await desk.until(() => desk.server.document.title === "one");
    await desk.until(() => unsent.flows.length === 0);
  });

  test("jsc21 what is refused of it is told", async () => {
    const desk = new Desk();
    const browser = new Browser();
    await left(desk, browser, "one", "two");
    desk.server.mood = (_, __, patch) =>
      patch["title"] === "one" ? { reason: "No", code: "invalid_patch", retry: false } : null;
    const unsent = home(desk, browser);
    const told: UnsentEvent[] = [];
    unsent.listen((event) => told.push(event));
    await desk.until(() => desk.server.document.title === "two");
    await desk.until(() => unsent.flows.length === 0);
    expect(told).toMatchObject([
      { type: "refused", flowId: "demo", refusal: { reason: "No", patch: { title: "one" } } },
    ]);
  });

  test("jsc21 gives up for a while where the server can't be reached, or takes nothing", async () => {
    const desk = new Desk();
    const browser = new Browser();
    await left(desk, browser, "one");
    desk.network.isUp = false;
    const unsent = home(desk, browser);
    await desk.until(() => unsent.flows[0]?.error?.reason === "The server can't be reached");
    expect(browser.holders.size).toBe(0);
    desk.network.isUp = true;
    desk.server.mood = () => ({ reason: "Busy", code: "store_unavailable", retry: true });
    await desk.until(() => desk.server.heardEvents("patch").length > 0);
    await desk.until(() => unsent.flows[0]?.error?.reason === "The server accepts no changes right now");
    desk.server.mood = () => null;
    await desk.until(() => unsent.flows.length === 0);
    expect(desk.server.document.title).toBe("one");
  });

  test("jsc21 is given up at once when the page is to do something else", async () => {
    const desk = new Desk();
    const browser = new Browser();
    await left(desk, browser, "one");
    desk.server.mood = () => ({ reason: "Busy", code: "store_unavailable", retry: true });
    const unsent = home(desk, browser);
    await desk.until(() => desk.server.memberIds.length > 0);
    unsent.stop();
    await desk.pass(10);
    expect(browser.holders.size).toBe(0);
    desk.server.mood = () => null;
    await desk.pass(60_000);
    expect(desk.server.version).toBe(0);
    await desk.join({ keeper: browser.page() });
    await desk.until(() => desk.server.document.title === "one");
  });
});
