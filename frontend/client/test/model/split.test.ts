/** What is too large for one patch, in parts. */

import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { apply, stage } from "../../src/model/document";
import { inverse } from "../../src/model/mergepatch";
import { largest, sizeOf, split } from "../../src/model/split";
import type { FlowDocument, JsonObject } from "../../src/types";
import { Desk, node } from "../desk";
import { flowDocument, flowPatch } from "../given";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.clearAllTimers();
  vi.useRealTimers();
});

function many(count: number, of: (n: number) => JsonObject | null): JsonObject {
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`n${n}`, of(n)]));
}

function idsIn(parts: readonly JsonObject[]): string[] {
  return parts.flatMap((part) => Object.keys(part["nodes"] as JsonObject));
}

describe("parts of a patch", () => {
  test("jsc28 do one after the other what the whole does, and are no larger than they may be", () => {
    fc.assert(
      fc.property(flowDocument, flowPatch, fc.integer({ min: 110, max: 300 }), (document, patch, most) => {
        const effective = stage(document, patch);
        const whole = apply(document, effective);
        const parts = split(effective, most, inverse(document, effective));
        const byParts = parts.reduce<FlowDocument>(
          (before, part) => apply(before, stage(before, part)),
          document,
        );
        expect(byParts).toEqual(whole);
        expect(Math.max(0, ...parts.map(sizeOf))).toBeLessThanOrEqual(most);
      }),
      { numRuns: 1000 },
    );
  });

  test("jsc28 a node that is too large alone is made first, with what it can't be without", () => {
    const [one, other] = ["x".repeat(300), "y".repeat(300)];
    const data = { a: one, b: { c: other, d: [1] }, e: 1 };
    const parts = split({ nodes: { n: node("n", { data, style: { color: "red" } }) } }, 500);
    expect(Math.max(...parts.map(sizeOf))).toBeLessThanOrEqual(500);
    expect(parts[0]).toMatchObject({ nodes: { n: { id: "n", position: { x: 0, y: 0 }, data: {} } } });
    expect(parts).toHaveLength(2);
    expect(split({ nodes: { n: { data: { a: one } } } }, 100)).toEqual([{ nodes: { n: { data: { a: one } } } }]);
  });

  test("jsc28 what can't be parted is named", () => {
    const text = "x".repeat(300);
    expect(largest({ nodes: { "a/b": { data: { text, small: 1 } } }, title: "T" })).toEqual({
      path: "/nodes/a~1b/data/text",
      bytes: 302,
    });
  });

  test("jsc28 nodes that go do so before those that they lie in", () => {
    const nodes = many(50, (n) => node(`n${n}`, n === 0 ? {} : { parentId: `n${n - 1}` }));
    const parts = split({ nodes: many(50, () => null) }, 150, { nodes });
    expect(idsIn(parts)).toEqual(Object.keys(nodes).reverse());
  });

  test("jsc28 a chain of 20,000 nodes is parted in time that grows with their number", () => {
    const chain = (count: number): number => {
      const nodes = many(count, (n) => node(`n${n}`, n === 0 ? {} : { parentId: `n${n - 1}` }));
      const before = process.cpuUsage().user;
      const parts = split({ nodes: Object.fromEntries(Object.entries(nodes).reverse()) }, 256 * 1024);
      expect(idsIn(parts)).toEqual(Object.keys(nodes));
      return process.cpuUsage().user - before;
    };
    chain(1000);
    expect(chain(20_000) / chain(2500)).toBeLessThan(24);
  });
});

describe("a change in parts", () => {
  test("jsc28 is one step of undo, also where others are between its parts, and leaves what is theirs", async () => {
    const desk = new Desk();
    desk.server.limits = { max_frame_bytes: 16 * 1024, max_patch_bytes: 2048 };
    const text = "x".repeat(100);
    desk.server.edit({ nodes: many(60, (n) => node(`n${n}`, { data: { text } })) });
    const ada = await desk.join();
    desk.network.delay = () => 20;
    ada.patch({ nodes: many(60, (n) => ({ position: { x: n + 1 }, data: { text: `${n}${text}` } })) });
    let edits = 0;
    desk.server.mood = () => {
      edits += 1;
      desk.server.edit({ nodes: { [`n${edits}`]: { data: { theirs: edits } } } });
      return null;
    };
    await desk.until(() => ada.state.status.kind === "saved");
    desk.server.mood = () => null;
    expect(edits).toBeGreaterThan(3);
    const { nodes } = desk.server.document;
    const places = Object.values(nodes).map(({ position }) => position.x);
    expect(places.sort((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, n) => n + 1));
    expect(ada.undo()).toBe(true);
    expect(ada.state.canUndo).toBe(false);
    await desk.until(() => ada.state.status.kind === "saved");
    for (const [id, { data, position }] of Object.entries(desk.server.document.nodes)) {
      const theirs = nodes[id]?.data["theirs"];
      expect(data).toEqual(theirs === undefined ? { text } : { text, theirs });
      expect(position).toEqual({ x: 0, y: 0 });
    }
    expect(ada.state.refusals).toEqual([]);
  });

  test("jsc28 refuses what can't be parted with its path, and does the rest", async () => {
    const desk = new Desk();
    desk.server.limits = { max_frame_bytes: 16 * 1024, max_patch_bytes: 2048 };
    const ada = await desk.join();
    const data = { text: "x".repeat(3000), label: "A" };
    ada.patch({ nodes: { n1: node("n1", { data }), n2: node("n2") } });
    await desk.until(() => ada.state.status.kind === "saved");
    const reason = "/nodes/n1/data/text: it takes 3002 bytes, and a change at most 2048";
    expect(ada.state.refusals).toMatchObject([{ code: "patch_too_large", reason }]);
    expect(desk.server.document.nodes).toEqual({
      n1: node("n1", { data: { label: "A" } }),
      n2: node("n2"),
    });
    expect(ada.undo()).toBe(true);
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document.nodes).toEqual({});
  });
});
