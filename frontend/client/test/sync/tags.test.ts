import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { readOperation } from "../../src/model/kept";
import { FlowSync } from "../../src/sync/sync";
import { Browser } from "../browser";
import { Desk, NODE } from "../desk";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.clearAllTimers();
  vi.useRealTimers();
});

const TAGS = { source: "assistant", run: 7 };

test("acc111 all changes of a page are marked with its tags", async () => {
  const desk = new Desk();
  const tags = { ...TAGS };
  const ada = await desk.join({ tags });
  const ben = await desk.join();
  tags.run = 8;
  ada.patch({ nodes: { n1: NODE } });
  ada.gather("title", { title: "T" });
  ada.flush();
  ada.undo();
  await desk.until(() => ada.state.status.kind === "saved");
  ben.patch({ description: "D" });
  await desk.until(() => ben.state.status.kind === "saved");
  expect(desk.server.log.map((one) => one.tags)).toEqual([TAGS, TAGS, TAGS, undefined]);
});

test("acc111 what entries say of who made them is told to those who listen", async () => {
  const desk = new Desk();
  const ada = await desk.join();
  const told: unknown[] = [];
  ada.listen((event) => {
    if (event.type === "entries") {
      told.push(...event.entries.map(({ actor, tags }) => [actor, tags]));
    }
  });
  const ben = await desk.join({ tags: TAGS });
  ben.patch({ title: "T" });
  await desk.until(() => ada.state.version === 1);
  expect(told).toEqual([[undefined, TAGS]]);
});

test("acc111 parts of a large change are all marked", async () => {
  const desk = new Desk();
  desk.server.limits = { ...desk.server.limits, max_patch_bytes: 600 };
  const ada = await desk.join({ tags: TAGS });
  const ids = Array.from({ length: 20 }, (_, n) => `n${n}`);
  ada.patch({ nodes: Object.fromEntries(ids.map((id) => [id, { ...NODE, id }])) });
  await desk.until(() => ada.state.status.kind === "saved");
  expect(desk.server.log.length).toBeGreaterThan(1);
  expect(desk.server.log.every((one) => one.tags?.["run"] === 7)).toBe(true);
});

test("acc111 stored changes keep their tags, if these are an object", () => {
  const stored = { clientId: "c", opId: 1, patch: { title: "T" } };
  expect(readOperation({ ...stored, tags: TAGS })?.tags).toEqual(TAGS);
  expect(readOperation({ ...stored, tags: "ai" })).toEqual(stored);
});

test("acc111 changes that a page left behind are sent with its tags", async () => {
  const browser = new Browser();
  const desk = new Desk(browser.page());
  const ada = await desk.join({ tags: TAGS });
  desk.network.isUp = false;
  desk.network.cut();
  ada.patch({ title: "T" });
  ada.stop();
  desk.network.isUp = true;
  const heir = await desk.join({ keeper: browser.page(), tags: { run: 8 } });
  await desk.until(() => desk.server.version === 1);
  heir.patch({ title: "U" });
  await desk.until(() => desk.server.version === 2);
  expect(desk.server.log.map((one) => one.tags)).toEqual([TAGS, { run: 8 }]);
});

test.each([[{ text: "x".repeat(1024) }], [{ number: NaN }]])("acc111 what can't be tags is refused at once", (tags) => {
  expect(() => new FlowSync("f", { tags, keeper: null })).toThrow(TypeError);
});
