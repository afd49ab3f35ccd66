/** A browser's storage that hangs, is full, or is damaged. */

import "fake-indexeddb/auto";

import { IDBFactory } from "fake-indexeddb";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { emptyDocument } from "../../src/model/document";
import { readDocument, readOperation } from "../../src/model/kept";
import { BrowserKeeper, MAX_DOCUMENTS } from "../../src/sync/keeper";
import type { FlowKeeper, JsonObject } from "../../src/types";
import { Browser } from "../browser";
import { Desk, node } from "../desk";
import { FakeStorage } from "../storage";

const LARGE = "x".repeat(70_000);

/** Never answers. */
function hang<T>(): Promise<T> {
  return new Promise(() => undefined);
}

beforeEach(() => {
  vi.stubGlobal("indexedDB", new IDBFactory());
  vi.stubGlobal("localStorage", new FakeStorage());
});

afterEach(() => {
  vi.clearAllTimers();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("storage that hangs", () => {
  test.each(["load", "hold"] as const)("jsc8 is done without within 3 s: %s", async (which) => {
    vi.useFakeTimers();
    const desk = new Desk();
    const keeper: FlowKeeper = { ...new Browser().page(), [which]: hang };
    const ada = desk.open({ keeper });
    ada.patch({ title: "A" });
    await desk.pass(3000);
    expect(ada.state.status.kind).toBe("saved");
    expect(desk.server.document.title).toBe("A");
  });

  test("jsc8 a database that never opens is one that keeps nothing, and says so", async () => {
    vi.stubGlobal("indexedDB", { open: () => ({}) });
    vi.useFakeTimers();
    const desk = new Desk();
    const ada = desk.open({ keeper: new BrowserKeeper() });
    await desk.pass(3000);
    expect(ada.state.status).toMatchObject({ kind: "saved", kept: true });
    desk.network.isUp = false;
    desk.network.cut();
    ada.patch({ title: "small" });
    expect(ada.state.status.kept).toBe(true);
    ada.patch({ data: { large: LARGE } });
    await desk.pass(3000);
    expect(ada.state.status).toMatchObject({ unsent: 2, kept: false });
    desk.network.isUp = true;
    ada.retryNow();
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document.data).toEqual({ large: LARGE });
  });

  test("jsc8 a transaction that never completes isn't waited for twice", async () => {
    const transaction = { objectStore: () => ({ getAll: () => ({}), get: () => ({}) }) };
    const database = { transaction: () => transaction };
    vi.stubGlobal("indexedDB", {
      open: () => {
        const request = { result: database, onsuccess: () => undefined };
        setTimeout(() => {
          request.onsuccess();
        });
        return request;
      },
    });
    vi.useFakeTimers();
    const keeper = new BrowserKeeper();
    const loads = [0, 1].map(async () => {
      const before = performance.now();
      await keeper.load("demo");
      return performance.now() - before;
    });
    await vi.advanceTimersByTimeAsync(1000);
    expect(await Promise.all(loads)).toEqual([1000, 1000]);
    const before = performance.now();
    await keeper.load("demo");
    expect(performance.now()).toBe(before);
  });

  test("jsc8 a connection to the database that closes is followed by another", async () => {
    let opened: IDBDatabase | undefined;
    const factory = new IDBFactory();
    vi.stubGlobal("indexedDB", {
      open: (...given: [string, number]) => {
        const request = factory.open(...given);
        request.addEventListener("success", () => {
          opened = request.result;
        });
        return request;
      },
    });
    const keeper = new BrowserKeeper();
    await keeper.load("demo");
    opened?.close();
    const large = { clientId: "c", opId: 1, patch: { title: LARGE } };
    expect(await keeper.put("demo", large)).toBe(true);
    expect((await new BrowserKeeper().load("demo")).operations).toEqual([large]);
  });
});

describe("a database that fails", () => {
  const small = { clientId: "c", opId: 1, patch: { title: "small" } };
  const grown = { ...small, patch: { title: LARGE } };

  test.each([
    ["fails", () => { throw new Error("no database"); }],
    ["never answers", () => ({})],
  ])("jsc22 what could be read isn't all where it %s", async (_, open) => {
    expect((await new BrowserKeeper().load("demo")).isPartial).toBe(false);
    expect(new BrowserKeeper().put("demo", small)).toBe(true);
    vi.stubGlobal("indexedDB", { open });
    expect(await new BrowserKeeper().load("demo")).toMatchObject({ operations: [small], isPartial: true });
  });

  test("jsc22 what has become too large stays as it was, until the database has it", async () => {
    expect(new BrowserKeeper().put("demo", small)).toBe(true);
    vi.stubGlobal("indexedDB", { open: () => ({}) });
    expect(await new BrowserKeeper().put("demo", grown)).toBe(false);
    expect((await new BrowserKeeper().load("demo")).operations).toEqual([small]);
    vi.stubGlobal("indexedDB", new IDBFactory());
    expect(await new BrowserKeeper().put("demo", grown)).toBe(true);
    expect(Object.keys(localStorage)).toEqual([]);
    expect((await new BrowserKeeper().load("demo")).operations).toEqual([grown]);
  });

  test("jsc22 what was taken back while it fails doesn't come back with it", async () => {
    const keeper = new BrowserKeeper();
    expect(await keeper.put("demo", grown)).toBe(true);
    const failing = vi.spyOn(IDBDatabase.prototype, "transaction").mockImplementation(() => {
      throw new DOMException("gone", "InvalidStateError");
    });
    keeper.remove("demo", "c", 1);
    expect((await keeper.load("demo")).isPartial).toBe(true);
    failing.mockRestore();
    expect((await keeper.load("demo")).operations).toEqual([]);
    await vi.waitFor(async () => {
      expect((await new BrowserKeeper().load("demo")).operations).toEqual([]);
    });
    expect(await keeper.put("demo", grown)).toBe(true);
    expect((await keeper.load("demo")).operations).toEqual([grown]);
  });

  test("jsc8 what it says too late of what is sent, or kept, by now isn't told", async () => {
    vi.useFakeTimers();
    const answers: ((isKept: boolean) => void)[] = [];
    const page = new Browser().page();
    const put: FlowKeeper["put"] = (flowId, operation) => {
      const isLarge = JSON.stringify(operation).length > LARGE.length;
      return isLarge ? new Promise((answer) => answers.push(answer)) : page.put(flowId, operation);
    };
    const desk = new Desk();
    const ada = await desk.join({ keeper: { ...page, put } });
    ada.patch({ data: { large: LARGE } });
    await desk.until(() => ada.state.status.kind === "saved");
    ada.gather("text", { data: { large: `${LARGE}x` } });
    ada.gather("text", { data: { large: "x" } });
    answers.forEach((answer) => {
      answer(false);
    });
    await desk.pass(10);
    expect(answers).toHaveLength(2);
    expect(ada.state.status).toMatchObject({ unsent: 1, kept: true });
  });
});

describe("storage that is damaged", () => {
  test.each([
    { bases: null, replaces: {} },
    { bases: { "/title": 7 }, replaces: { version: 1 } },
    { bases: [], replaces: { version: "1", values: {} } },
  ])("jsc22 what is wrong in one operation keeps no flow from loading: %j", async (damaged) => {
    const operation = { clientId: "a", opId: 1, patch: { title: "left" } };
    localStorage.setItem(
      'helix-flows:op:["demo","a",1]',
      JSON.stringify({ ...operation, ...damaged }),
    );
    vi.useFakeTimers();
    const desk = new Desk();
    desk.server.edit({ description: "there" });
    const ada = desk.open({ keeper: new BrowserKeeper() });
    await desk.until(() => desk.server.document.title === "left");
    await desk.until(() => ada.state.status.kind === "saved");
    expect(ada.state.document).toEqual(desk.server.document);
    expect(Object.keys(localStorage).filter((name) => name.startsWith("helix-flows:op:"))).toEqual([]);
    // The names of pages are the browser's, whatever else is made anew for each test.
    ada.stop();
  });

  test.each([
    ['helix-flows:op:["demo","a",1]', '{"clientId":"a","opId":1,"pa'],
    ['helix-flows:op:["demo","a",1]', '{"clientId":"a"}'],
    ["helix-flows:op:[", "{}"],
    ["helix-flows:op:7", "{}"],
  ])("jsc8 what can't be read is passed over: %s %s", async (name, text) => {
    localStorage.setItem(name, text);
    const operation = { clientId: "z", opId: 1, patch: { title: "left" } };
    expect(new BrowserKeeper().put("demo", operation)).toBe(true);
    expect((await new BrowserKeeper().load("demo")).operations).toEqual([operation]);
  });
});

describe("changes that no document could hold", () => {
  const deep = Array.from({ length: 50_000 }).reduce<unknown>((inner) => [inner], []);
  const ring: JsonObject = {};
  ring["itself"] = ring;

  test.each<[string, JsonObject]>([
    ["deep", { data: { deep } }],
    ["a ring", { data: ring }],
    ["a BigInt", { data: { n: 5n } }],
    ["a date", { data: { at: new Date(0) } }],
    ["infinite", { nodes: { a: { position: { x: Infinity } } } }],
    ["a prototype", { nodes: Object.fromEntries([["__proto__", node("__proto__")]]) }],
  ])("jsc22 are passed over where something has stored them: %s", (_, patch) => {
    const operation = { clientId: "a", opId: 1, patch: { title: "x" } };
    expect(readOperation({ ...operation, patch })).toBeNull();
    expect(readOperation({ ...operation, replaces: { version: 1, values: patch } })).toEqual(operation);
  });
});

describe("documents that are damaged", () => {
  const whole = { ...emptyDocument(), nodes: { a: node("a"), b: node("b") }, edges: { e: { id: "e", source: "a", target: "b" } } };

  test.each<JsonObject>([
    {},
    { nodes: [] },
    { nodes: { a: { id: "a", data: {} } } },
    { nodes: { a: node("b") } },
    { nodes: { a: { ...node("a"), position: { x: "x", y: 0 } } } },
    { nodes: { a: { ...node("a"), data: null } } },
    { edges: { e: { id: "e", source: "a" } } },
    { edges: { e: 5 } },
    { title: 5 },
    { viewport: null },
    { nodes: Object.fromEntries([["__proto__", node("__proto__", { parentId: "__proto__" })]]) },
  ])("jsc22 are passed over: %j", (damage) => {
    const isWhole = Object.keys(damage).length === 0;
    const kept = { epoch: "e", version: 1, document: { ...whole, ...damage } };
    expect(readDocument(kept)).toEqual(isWhole ? { ...kept, chain: null } : null);
  });
});

describe("what is kept of flows", () => {
  test("jsc8 is bounded: what was opened least recently goes, but nothing unsent", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const keeper = new BrowserKeeper();
    const document = { epoch: "e", version: 0, document: emptyDocument() };
    await keeper.put("flow0", { clientId: "c", opId: 1, patch: { title: "unsent" } });
    for (let n = 0; n < MAX_DOCUMENTS + 3; n += 1) {
      vi.setSystemTime(1000 * n);
      keeper.putDocument(`flow${n}`, document);
      await vi.waitFor(async () => {
        expect((await keeper.load(`flow${n}`)).document).not.toBeNull();
      });
    }
    const isKept = async (n: number): Promise<boolean> =>
      (await keeper.load(`flow${n}`)).document !== null;
    await vi.waitFor(async () => {
      expect(await Promise.all([0, 1, 2, 3, 4].map(isKept))).toEqual([true, false, false, true, true]);
    });
    expect(await isKept(MAX_DOCUMENTS + 2)).toBe(true);
  });

  test("jsc8 which flows have something unsent can be listed", async () => {
    const keeper = new BrowserKeeper();
    await keeper.put("one", { clientId: "c", opId: 1, patch: { title: "A" } });
    await keeper.put("two", { clientId: "c", opId: 1, patch: { title: LARGE } });
    await keeper.put("three", { clientId: "c", opId: 1, patch: { title: "A" } });
    keeper.remove("three", "c", 1);
    await keeper.put("one", { clientId: "c", opId: 2, patch: { title: "B" } });
    localStorage.setItem('helix-flows:op:["four","c",1]', '{"clientId":"c","op');
    expect([...(await keeper.unsentFlows())].sort()).toEqual([
      ["one", 2],
      ["two", 1],
    ]);
  });
});
