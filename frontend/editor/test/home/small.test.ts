// @vitest-environment jsdom
import { afterEach, describe, expect, it, vi } from "vitest";

import { api } from "../../src/api";

afterEach(() => {
  vi.unstubAllGlobals();
});

/** Let the server answer with a text, in pieces; gives how many were loaded. */
function answering(text: string, status = 200): () => number {
  const bytes = new TextEncoder().encode(text);
  let loaded = 0;
  const body = new ReadableStream<Uint8Array>({
    pull: (stream) => {
      if (loaded * 1_000 >= bytes.length) {
        stream.close();
      } else {
        stream.enqueue(bytes.slice(loaded * 1_000, (loaded + 1) * 1_000));
        loaded += 1;
      }
    },
  }, { highWaterMark: 0 });
  vi.stubGlobal("fetch", () => Promise.resolve(new Response(body, { status })));
  return () => loaded;
}

describe("EDI60: the document for a card", () => {
  it("comes whole where it is small", async () => {
    const document = { title: `${"ü".repeat(999)}\u{1f600}`.repeat(3) };
    const loaded = answering(JSON.stringify({ document }));
    expect(await api.smallDocument("demo", 10_000)).toEqual(document);
    expect(loaded()).toBe(7);
  });

  it("isn't loaded to its end where it is large", async () => {
    const loaded = answering(JSON.stringify({ document: { title: "x".repeat(1_000_000) } }));
    expect(await api.smallDocument("demo", 10_000)).toBeNull();
    expect(loaded()).toBe(11);
  });

  it.each(["null", "[]", '{"detail": {}}', "<h1>no"])("says that there is none, whatever a proxy says of it: %s", async (text) => {
    answering(text, 502);
    await expect(api.smallDocument("demo", 10_000)).rejects.toThrow("The server answered 502.");
  });
});
