// @vitest-environment jsdom
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { createElement, type FunctionComponent } from "react";
import { createRoot } from "react-dom/client";
import { createProgram, getPreEmitDiagnostics, JsxEmit, ModuleKind, ModuleResolutionKind, ScriptTarget } from "typescript";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Network } from "./network";
import { FlowServer } from "./server";

const HERE = import.meta.dirname;
const PAGE = readFileSync(join(HERE, "../../../docs/react-flow.md"), "utf8");
const [stock = "", multiplayer = ""] = [...PAGE.matchAll(/```jsx\n(.*?)```/gs)].map(
  ([, code]) => code ?? "",
);

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(HERE, "docs-"));
  vi.stubGlobal(
    "ResizeObserver",
    class {
      observe = () => undefined;
      unobserve = () => undefined;
      disconnect = () => undefined;
    },
  );
});

afterEach(() => {
  rmSync(folder, { recursive: true });
  vi.unstubAllGlobals();
});

test("jsc13 the page's example differs from React Flow's own in under ten lines", () => {
  const before = new Set(stock.split("\n").map((line) => line.trim()));
  const news = multiplayer.split("\n").filter((line) => !before.has(line.trim()));
  expect(stock).toContain("useState(initialNodes)");
  expect(news.length).toBeGreaterThan(0);
  expect(news.length).toBeLessThan(10);
});

test("jsc13 the page's example has no error of types", () => {
  const file = join(folder, "App.tsx");
  writeFileSync(file, multiplayer);
  const program = createProgram([file], {
    strict: true,
    noEmit: true,
    jsx: JsxEmit.ReactJSX,
    module: ModuleKind.ESNext,
    moduleResolution: ModuleResolutionKind.Bundler,
    customConditions: ["helix-source"],
    lib: ["lib.es2023.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
    types: ["vite/client"],
    skipLibCheck: true,
    target: ScriptTarget.ES2022,
  });
  const errors = getPreEmitDiagnostics(program).map(({ messageText }) => messageText);
  expect(errors).toEqual([]);
}, 60_000);

test("jsc13 the page's example is one flow in two pages", async () => {
  const network = new Network();
  const server = new FlowServer(network);
  vi.stubGlobal("WebSocket", network.webSocket);
  const file = join(folder, "App.jsx");
  writeFileSync(file, multiplayer);
  const { default: App } = (await import(/* @vite-ignore */ file)) as {
    default: FunctionComponent;
  };
  const pages = [document.createElement("div"), document.createElement("div")];
  const roots = pages.map((page) => createRoot(document.body.appendChild(page)));
  roots.forEach((root) => {
    root.render(createElement(App));
  });
  await vi.waitFor(() => {
    expect(server.version).toBe(1);
  });
  server.edit({ nodes: { n2: { data: { label: "Theirs" } } } });
  const labels = (page: HTMLElement): (string | null)[] =>
    [...page.querySelectorAll(".react-flow__node")].map(({ textContent }) => textContent);
  await vi.waitFor(() => {
    expect(pages.map(labels)).toEqual([
      ["Node 1", "Theirs"],
      ["Node 1", "Theirs"],
    ]);
  });
  expect(Object.keys(server.document.edges)).toEqual(["n1-n2"]);
  roots.forEach((root) => {
    root.unmount();
  });
});
