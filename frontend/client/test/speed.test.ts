/** What edits cost on top of many that no server has yet. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { FlowSync } from "../src/sync/sync";
import { Desk, node } from "./desk";

const NODES = 300;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.clearAllTimers();
  vi.useRealTimers();
});

/** Somebody who has made so many edits offline. */
async function offline(count: number): Promise<{ desk: Desk; ada: FlowSync }> {
  const desk = new Desk();
  const ids = Array.from({ length: NODES }, (_, n) => `n${n}`);
  desk.server.edit({ nodes: Object.fromEntries(ids.map((id) => [id, node(id)])) });
  const ada = await desk.join();
  desk.network.isUp = false;
  desk.network.cut();
  for (let n = 0; n < count; n += 1) {
    ada.patch({ nodes: { [`n${n % NODES}`]: { data: { [`f${n}`]: n } } } });
  }
  return { desk, ada };
}

function costOf(act: () => void): number {
  const before = process.cpuUsage().user;
  act();
  return process.cpuUsage().user - before;
}

function type(ada: FlowSync): number {
  return costOf(() => {
    for (let n = 0; n < 300; n += 1) {
      ada.gather("title", { title: `t${n}` });
    }
  });
}

test("jsc29 a key stroke costs the same, however much is unsent", async () => {
  type((await offline(100)).ada);
  const few = type((await offline(100)).ada);
  const many = type((await offline(1600)).ada);
  // Sixteen times as much is unsent.
  expect(many / few).toBeLessThan(5);
});

test("jsc29 what others did meanwhile costs by the number of what is unsent, not by its square", async () => {
  const cost = async (count: number): Promise<number> => {
    const { desk, ada } = await offline(count);
    const { nodes = {} } = ada.state.document ?? {};
    for (let n = 0; n < 20; n += 1) {
      desk.server.edit({ title: `${n}`, nodes: { n299: { data: { theirs: n } } } });
    }
    desk.server.mood = () => ({ reason: "Later", code: "store_unavailable", retry: true });
    desk.network.isUp = true;
    ada.retryNow();
    const before = process.cpuUsage().user;
    await desk.until(() => ada.state.version === 21);
    const spent = process.cpuUsage().user - before;
    // What nobody has touched is the very same object.
    expect(ada.state.document?.nodes["n5"]).toBe(nodes["n5"]);
    expect(ada.state.document?.nodes["n299"]).not.toBe(nodes["n299"]);
    ada.stop();
    return spent;
  };
  await cost(200);
  const few: number[] = [];
  const many: number[] = [];
  for (let run = 0; run < 3; run += 1) {
    few.push(await cost(200));
    many.push(await cost(1600));
  }
  // The least of each: the compiler and the collector work beside it at any time.
  expect(Math.min(...many) / Math.min(...few)).toBeLessThan(24);
});
