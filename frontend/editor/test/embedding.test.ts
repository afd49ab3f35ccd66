// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { tokens } from "../src/credentials";
import { COURTESY, Embedding, isFramed, PATIENCE } from "../src/embedding";
import { readTold } from "../src/told";

const PRODUCT = "https://app.example.com";

const TOLD = readTold(JSON.stringify({ ancestors: [PRODUCT], anyone: false, tokens: true }));

/** The page around the editor, and what it is told. */
function around(told = TOLD) {
  const heard: unknown[] = [];
  let hear: (event: MessageEvent) => void = () => undefined;
  const parent = { postMessage: (message: unknown) => { heard.push(message); } };
  const frame = { parent, addEventListener: (_: "message", listener: typeof hear) => { hear = listener; } };
  const embedding = new Embedding(frame, told);
  const say = (data: unknown, { origin = PRODUCT, source = parent }: { origin?: string; source?: unknown } = {}): void => {
    hear({ data, origin, source } as MessageEvent);
  };
  const give = (token: unknown, from = {}): void => { say({ type: "helix:token", token }, from); };
  return { frame, embedding, heard, say, give };
}

const READY = { type: "helix:ready" };
const NEEDED = { type: "helix:token-needed" };

beforeEach(() => { vi.useFakeTimers(); });
afterEach(() => { vi.useRealTimers(); });

describe("ACC216: a page in a frame", () => {
  it("is told the token by the page around it, once it says that it is ready", async () => {
    const { embedding, heard, give } = around();
    expect(heard).toEqual([READY]);
    const asked = [embedding.token(), embedding.token()];
    give("one");
    expect(await Promise.all([...asked, embedding.token()])).toEqual(["one", "one", "one"]);
    give("two");
    expect(await embedding.token()).toBe("two");
    give(null);
    expect(await embedding.token()).toBeNull();
    expect(heard).toEqual([READY]);
  });

  it.each<[string, unknown, object?]>([
    ["another origin", "evil", { origin: "https://app.example.com.evil.test" }],
    ["another port", "evil", { origin: `${PRODUCT}:8443` }],
    ["another scheme", "evil", { origin: "http://app.example.com" }],
    ["no origin", "evil", { origin: "null" }],
    ["another window", "evil", { source: {} }],
    ["no window", "evil", { source: null }],
    ["a number", 7], ["nothing", ""], ["an object", { toString: () => "evil" }], ["what isn't there", undefined],
  ])("takes none from %s", async (_, token, from) => {
    const { embedding, give } = around();
    give(token, from);
    const asked = embedding.token();
    give("good");
    expect(await asked).toBe("good");
    give(token, from);
    expect(await embedding.token()).toBe("good");
  });

  it("takes nothing else", async () => {
    const { embedding, say, give } = around();
    const asked = embedding.token();
    for (const message of [null, undefined, "helix:token", 5, [], {}, { type: "token", token: "evil" }, { type: "helix:ready", token: "evil" }]) {
      say(message);
    }
    give("good");
    expect(await asked).toBe("good");
  });

  it("hears of another token", () => {
    const { embedding, give } = around();
    const listener = vi.fn();
    const end = embedding.subscribe(listener);
    give("one");
    end();
    give("two");
    expect(listener).toHaveBeenCalledOnce();
  });

  it("puts it into no storage and no address", async () => {
    const { embedding, give } = around();
    give("secret");
    expect(await embedding.token()).toBe("secret");
    expect(JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage), document.cookie, location.href])).not.toContain("secret");
  });

  it("is one only in a frame, where the server names pages that may be around it", () => {
    const { frame } = around();
    expect(isFramed(frame, TOLD)).toBe(true);
    expect(isFramed(frame, readTold(null))).toBe(false);
    expect(isFramed(window, TOLD)).toBe(false);
  });
});

describe("ACC217: a token that ends", () => {
  it("is asked for again, for each connection of a flow after its first", async () => {
    const { embedding, heard, give } = around();
    const ofFlow = tokens(embedding);
    give("one");
    expect(await ofFlow()).toBe("one");
    const renewed = ofFlow();
    expect(heard).toEqual([READY, NEEDED]);
    give("two");
    expect([await renewed, await embedding.token()]).toEqual(["two", "two"]);
    embedding.forget();
    const both = [embedding.token(), tokens(embedding)()];
    give("three");
    expect(await Promise.all(both)).toEqual(["three", "three"]);
    expect(heard).toEqual([READY, NEEDED, NEEDED]);
  });

  it("is told of where the page around doesn't answer, and asked for once more", async () => {
    const { embedding, heard, give } = around();
    for (const asked of [[READY], [READY, NEEDED]]) {
      const silence = expect(embedding.token()).rejects.toThrow("The page around the editor gave no token");
      await vi.advanceTimersByTimeAsync(PATIENCE);
      await silence;
      expect(heard).toEqual(asked);
    }
    const later = embedding.token();
    give("late");
    expect(await later).toBe("late");
  });

  it("isn't waited for long where nobody needs one, and not twice", async () => {
    const { embedding, heard, give } = around({ ...TOLD, anyone: true });
    const first = embedding.token();
    await vi.advanceTimersByTimeAsync(COURTESY);
    expect(await first).toBeNull();
    embedding.forget();
    expect(await embedding.token()).toBeNull();
    expect(heard).toEqual([READY]);
    give("late");
    expect(await embedding.token()).toBe("late");
  });

  it("isn't waited for at all where the server takes none", async () => {
    expect(await around({ ...TOLD, tokens: false }).embedding.token()).toBeNull();
  });
});
