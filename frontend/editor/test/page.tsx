/** The page of a flow in a test: the whole editor, in a document that has no layout. */

import { ReactFlowProvider } from "@xyflow/react";
import { act, type ReactNode } from "react";
import { createRoot, type Root } from "react-dom/client";
import { vi } from "vitest";

import { Desk } from "../../client/test/desk";
import type { JsonObject } from "../../client/src/types";

const VIEW = { x: 0, y: 0, width: 1_200, height: 800 };

/** Stand in for what the test's document lacks: media queries, sizes, pictures and modal dialogs. */
export function standIn(): void {
  vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => undefined, removeEventListener: () => undefined }));
  vi.stubGlobal("ResizeObserver", class { observe = () => undefined; unobserve = () => undefined; disconnect = () => undefined; });
  vi.stubGlobal("IntersectionObserver", class { observe = () => undefined; disconnect = () => undefined; });
  vi.stubGlobal("DOMMatrixReadOnly", class { m22 = 1; });
  vi.stubGlobal("fetch", () => Promise.reject(new Error("there is no server")));
  const { prototype } = HTMLElement;
  vi.spyOn(prototype, "offsetWidth", "get").mockReturnValue(VIEW.width);
  vi.spyOn(prototype, "offsetHeight", "get").mockReturnValue(VIEW.height);
  vi.spyOn(prototype, "getBoundingClientRect").mockReturnValue({ ...VIEW, left: 0, top: 0, right: VIEW.width, bottom: VIEW.height, toJSON: () => VIEW });
  vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockReturnValue(null);
  HTMLDialogElement.prototype.showModal = () => undefined;
  Element.prototype.scrollIntoView = () => undefined;
}

/** Show something until the test ends. */
export function show(roots: Root[], shown: ReactNode): HTMLElement {
  const place = document.body.appendChild(document.createElement("div"));
  const root = createRoot(place);
  roots.push(root);
  act(() => { root.render(shown); });
  return place;
}

/** Open a flow with this content in the editor. */
export async function openPage(roots: Root[], content: JsonObject): Promise<{ desk: Desk; page: HTMLElement }> {
  standIn();
  const { Editor } = await import("../src/flow/Editor");
  const desk = new Desk();
  vi.stubGlobal("WebSocket", desk.network.webSocket);
  desk.server.edit(content);
  const page = show(roots, <ReactFlowProvider><Editor flowId="demo" /></ReactFlowProvider>);
  await act(() => desk.until(() => page.querySelector(".status.saved") !== null));
  await act(() => desk.pass(500));
  return { desk, page };
}

/** Fire a mouse event at a place in the window. */
function fire(target: EventTarget, type: string, x: number): void {
  const event = new MouseEvent(type, { bubbles: true, cancelable: true, clientX: x, clientY: 100, buttons: 1 });
  Object.defineProperty(event, "view", { value: window });
  target.dispatchEvent(event);
}

/** Find a node on the canvas. */
export function nodeIn(page: HTMLElement, id: string): HTMLElement {
  return page.querySelector<HTMLElement>(`.react-flow__node[data-id="${id}"]`) as HTMLElement;
}

/** Drag a node to the right, by pixels. */
export async function drag({ desk, page }: { desk: Desk; page: HTMLElement }, id: string, by: number): Promise<void> {
  act(() => { fire(nodeIn(page, id), "mousedown", 100); });
  for (const moved of [by / 4, by / 2, by]) {
    await act(async () => {
      fire(window, "mousemove", 100 + moved);
      await desk.pass(40);
    });
  }
  await act(async () => {
    fire(window, "mouseup", 100 + by);
    await desk.pass(1_000);
  });
}
