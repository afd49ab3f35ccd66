import { expect, test } from "vitest";

import { firstOutside, mayChange, readPath, readPaths } from "../../src/model/paths";
import type { JsonObject } from "../../src/types";

// The same cases as the server's, in tests/access/test_paths.py.
const CONTENT: JsonObject = {
  title: "T",
  data: { owner: "ada" },
  nodes: {
    p: { id: "p", type: "prompt", position: { x: 0, y: 0 }, data: { prompt: "hi" } },
    q: { id: "q", position: { x: 0, y: 0 }, data: { "a/b": 1, "m~n": 2 } },
  },
  edges: { e: { id: "e", type: "step", source: "p", target: "q" } },
};

const outside = (paths: string[], patch: JsonObject): string | null => firstOutside(readPaths(paths), patch, CONTENT);

test.each<[string, JsonObject]>([
  ["/title", { title: "new" }],
  ["/title", { title: null }],
  ["/data/**", { data: { owner: null } }],
  ["/nodes/*/data/prompt", { nodes: { p: { data: { prompt: "new" } } } }],
  ["/nodes/p/data", { nodes: { p: { data: { more: { deep: 1 } } } } }],
  ["/nodes/*[type=prompt]/data/**", { nodes: { p: { data: { prompt: null } } } }],
  ["/nodes/*", { nodes: { new: { id: "new", position: { x: 0, y: 0 } } } }],
  ["/nodes/*", { nodes: { p: null } }],
  ["/nodes/**", { nodes: { p: null } }],
  ["/nodes/*[type=prompt]", { nodes: { p: null } }],
  ["/nodes/*[type=prompt]", { nodes: { new: { id: "new", type: "prompt" } } }],
  ["/edges/e[type=step]/label", { edges: { e: { label: "yes" } } }],
  ["/nodes/q/data/a~1b", { nodes: { q: { data: { "a/b": 2 } } } }],
  ["/nodes/q/data/m~0n", { nodes: { q: { data: { "m~n": 2 } } } }],
  ["/nodes/p", {}],
])("acc67 within %s: %j", (path, patch) => {
  expect(outside([path], patch)).toBeNull();
});

test.each<[string, JsonObject, string]>([
  ["/title", { title: "new", description: "d" }, "/description"],
  ["/data/**", { data: 5 }, "/data"],
  ["/data/**", { data: null }, "/data"],
  ["/nodes/*/data/prompt", { nodes: { p: { data: { x: 1 } } } }, "/nodes/p/data/x"],
  ["/nodes/*/data/prompt", { nodes: { p: { data: null } } }, "/nodes/p/data"],
  ["/nodes/*/data/**", { nodes: { p: null } }, "/nodes/p"],
  ["/nodes/*/data/**", { nodes: { new: { data: { x: 1 } } } }, "/nodes/new"],
  ["/nodes/*", { nodes: null }, "/nodes"],
  ["/nodes/*", { edges: { e: null } }, "/edges/e"],
  ["/nodes/*[type=prompt]/data/**", { nodes: { q: { data: { x: 1 } } } }, "/nodes/q/data/x"],
  ["/nodes/*[type=prompt]", { nodes: { q: null } }, "/nodes/q"],
  ["/nodes/*[type=prompt]", { nodes: { new: { id: "new", type: "api" } } }, "/nodes/new"],
  ["/nodes/*[type=prompt]", { nodes: { p: { type: "api" } } }, "/nodes/p/type"],
  ["/nodes/*[type=prompt]", { nodes: { q: { type: "prompt" } } }, "/nodes/q/type"],
  ["/nodes/q/data/a/b", { nodes: { q: { data: { "a/b": 2 } } } }, "/nodes/q/data/a~1b"],
  ["/nodes/q/data/m~0n", { nodes: { q: { data: { "a/b": 2 } } } }, "/nodes/q/data/a~1b"],
])("acc67 outside %s: %j", (path, patch, place) => {
  expect(outside([path], patch)).toBe(place);
});

test("acc67 several paths cover together", () => {
  const patch = { title: "new", nodes: { p: { data: { prompt: "new" } } } };
  expect(outside(["/nodes/*/data"], patch)).toBe("/title");
  expect(outside(["/nodes/*/data", "/title"], patch)).toBeNull();
});

test.each(["", "title", "/a/**/b", "/data/*[type=x]", "/nodes/a/b[type=x]", "/a~2", "/a~", `/${"x".repeat(512)}`])(
  "acc67 %j is no path, and covers nothing",
  (path) => {
    expect(() => readPath(path)).toThrow(TypeError);
    expect(readPaths([path, "/title"])).toHaveLength(1);
  },
);

test("acc67 one place may be changed or not", () => {
  const paths = readPaths(["/nodes/*[type=prompt]/data/**"]);
  expect(mayChange(paths, ["nodes", "p", "data", "prompt"], CONTENT)).toBe(true);
  expect(mayChange(paths, ["nodes", "p", "data"], CONTENT)).toBe(false);
  expect(mayChange(paths, ["nodes", "p", "position"], CONTENT)).toBe(false);
  expect(mayChange(paths, ["nodes", "q", "data", "prompt"], CONTENT)).toBe(false);
  expect(mayChange(paths, ["nodes", "gone", "data", "prompt"], CONTENT)).toBe(false);
  expect(mayChange(readPaths(["/title"]), ["title"], CONTENT)).toBe(true);
});

test("acc67 depth is no matter", () => {
  let deep: JsonObject = { a: 1 };
  for (let n = 0; n < 3_000; n += 1) {
    deep = { a: deep };
  }
  expect(outside(["/data"], { data: deep })).toBeNull();
});
