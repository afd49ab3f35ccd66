/** What others are seen to drag: all of it, as long as it holds. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import type { FlowSync } from "../../src/sync/sync";
import type { JsonObject, Moving } from "../../src/types";
import { Desk } from "../desk";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.clearAllTimers();
  vi.useRealTimers();
});

/** Make nodes, and where each is once all have come `by` so much. */
function nodes(count: number, by = 0): Record<string, Moving> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, n) => [`a-node-with-a-long-name-${n}`, { x: n + by + 0.125, y: by }]),
  );
}

/** Say to others what one page says, as a server does that sends what it has. */
function relay(desk: Desk, from: number): void {
  desk.server.heardEvents("cursor").slice(from).forEach((cursor) => {
    desk.server.broadcast("cursors", { ada: cursor });
  });
}

function movingOf(page: FlowSync): Record<string, Moving> | undefined {
  return page.state.cursors.get("ada")?.moving;
}

async function say(desk: Desk, cursor: JsonObject | null): Promise<void> {
  desk.server.broadcast("cursors", { ada: cursor });
  await desk.pass(5);
}

describe("what somebody drags", () => {
  test.each([101, 5000])("jsc11 is seen to go as it does: %i nodes", async (count) => {
    const desk = new Desk();
    const ada = await desk.join();
    const ben = await desk.join();
    for (let by = 0; by < 50; by += 1) {
      ada.setCursor({ x: by, y: 0, moving: nodes(count, 2.3 * by) });
      await desk.pass(1000);
    }
    const said = desk.server.heardEvents("cursor");
    expect(said.length).toBe(50);
    expect(JSON.stringify(said.slice(1)).length).toBeLessThan(50 * 100);
    relay(desk, 0);
    await desk.pass(5);
    const shown = movingOf(ben) ?? {};
    const wanted = nodes(count, 2.3 * 49);
    expect(Object.keys(shown)).toEqual(Object.keys(wanted));
    for (const [id, { x, y }] of Object.entries(wanted)) {
      expect(Math.abs((shown[id]?.x ?? 0) - x) + Math.abs((shown[id]?.y ?? 0) - y)).toBeLessThan(0.2);
    }
    ada.setCursor({ x: 0, y: 0 });
    await desk.pass(1000);
    relay(desk, 50);
    await desk.pass(5);
    expect(ben.state.cursors.get("ada")).toEqual({ x: 0, y: 0 });
  });

  test("jsc11 is told whole where not all come as far, and less often", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    for (let ms = 0; ms < 10_000; ms += 50) {
      ada.setCursor({ x: ms, y: 0, moving: { ...nodes(1000, ms), "a-node-with-a-long-name-7": { x: 0, y: 0 } } });
      await desk.pass(50);
    }
    const said = desk.server.heardEvents("cursor");
    expect(said.length).toBeGreaterThan(10);
    expect(said.every(({ moving }) => Object.keys(moving as object).length === 1000)).toBe(true);
    expect(JSON.stringify(said).length).toBeLessThan(10_000 * 140);
  });

  test("jsc11 is told whole again after another join", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    ada.setCursor({ x: 0, y: 0, moving: nodes(200) });
    await desk.pass(1000);
    desk.network.cut();
    await desk.until(() => ada.state.status.kind === "saved");
    ada.setCursor({ x: 1, y: 0, moving: nodes(200, 1) });
    await desk.pass(1000);
    const last = desk.server.heardEvents("cursor").at(-1);
    expect(Object.keys(last?.["moving"] as object)).toHaveLength(200);
  });

  test("jsc11 is another when it is told anew", async () => {
    const desk = new Desk();
    const ben = await desk.join();
    const nodes = { n1: { x: 5, y: 5, width: 3 } };
    await say(desk, { x: 0, y: 0, moved: { x: 1, y: 1 } });
    expect(ben.state.cursors.get("ada")).toEqual({ x: 0, y: 0 });
    await say(desk, { x: 0, y: 0, moving: nodes, moved: { x: 1, y: 2 } });
    expect(movingOf(ben)).toEqual({ n1: { x: 6, y: 7, width: 3 } });
    const before = ben.state.cursors.get("ada");
    await say(desk, { x: 0, y: 0, moved: { x: 1, y: 2 } });
    expect(ben.state.cursors.get("ada")).toEqual(before);
    expect(ben.state.cursors.get("ada")).not.toBe(before); // it goes on, says whoever drags
    await say(desk, { x: 0, y: 0 });
    await say(desk, { x: 0, y: 0, moved: { x: 1, y: 2 } });
    expect(movingOf(ben)).toBeUndefined();
    ben.stop();
  });
});
