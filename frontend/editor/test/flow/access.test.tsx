// @vitest-environment jsdom
import { act } from "react";
import { afterEach, expect, test, vi } from "vitest";

import { rootsOfTests } from "../../../client/test/roots";
import type { JsonObject } from "../../../client/src/types";
import { FlowCard } from "../../src/home/FlowCard";
import { drag, nodeIn, openPage, show, standIn } from "../page";

const roots = rootsOfTests();

afterEach(() => {
  vi.restoreAllMocks();
  document.body.replaceChildren();
  localStorage.clear();
});

const VIEWER = { role: "viewer", may: ["read"] };
const EDITOR = { role: "editor", may: ["read", "comment", "propose", "edit"] };
const CONTENT = { title: "Plan", nodes: { a: { id: "a", position: { x: 100, y: 100 }, data: { label: "A" } } } };

type Opened = Awaited<ReturnType<typeof openPage>>;

async function grant({ desk }: Opened, rights: JsonObject): Promise<void> {
  await act(async () => {
    desk.server.grant(rights);
    await desk.pass(100);
  });
}

const titleOf = (page: HTMLElement): HTMLInputElement => page.querySelector<HTMLInputElement>(".title") as HTMLInputElement;
const button = (page: HTMLElement, name: string): HTMLButtonElement | undefined =>
  [...page.querySelectorAll("button")].find((one) => one.textContent === name || one.getAttribute("aria-label") === name);

test("acc70 who may not edit is told so, and shown no control that would be refused", async () => {
  const opened = await openPage(roots, CONTENT);
  const { page } = opened;
  expect([page.querySelector(".palette") === null, titleOf(page).disabled]).toEqual([false, false]);
  await grant(opened, VIEWER);
  expect(page.querySelector(".status")?.textContent).toContain("Read only");
  expect([page.querySelector(".palette") === null, titleOf(page).disabled]).toEqual([true, true]);
  act(() => { button(page, "History")?.click(); });
  await act(() => opened.desk.pass(500));
  expect(page.querySelector(".timeline")).not.toBeNull();
  expect(button(page, "Name this version")).toBeUndefined();
  await grant(opened, EDITOR);
  expect(button(page, "Name this version")).toBeDefined();
  expect(page.querySelector(".palette")).not.toBeNull();
});

test("acc71 held changes are told of, with a copy to keep, and can be discarded", async () => {
  const opened = await openPage(roots, CONTENT);
  const { desk, page } = opened;
  desk.server.rights = VIEWER;
  await drag(opened, "a", 40);
  await grant(opened, VIEWER);
  expect(page.querySelector(".status.held")?.textContent).toContain("Read only, 1");
  const panel = page.querySelector<HTMLElement>("[role=alert].closed") as HTMLElement;
  expect(panel.textContent).toContain("1 change held back");
  expect(["Keep a copy", "Save as a file", "Discard"].map((name) => button(panel, name) !== undefined)).toEqual([true, true, true]);
  act(() => { button(panel, "Discard")?.click(); });
  expect(page.querySelector("[role=alert].closed")).toBeNull();
  expect(nodeIn(page, "a").style.transform).toBe("translate(100px, 100px)");
});

test("acc74 where one may change only some places, the rest is read only, and said to be", async () => {
  const opened = await openPage(roots, {
    ...CONTENT,
    nodes: {
      a: { id: "a", type: "agent", position: { x: 100, y: 100 }, data: { label: "A" } },
      b: { id: "b", type: "skill", position: { x: 400, y: 100 }, data: { label: "B" } },
    },
  });
  const { desk, page } = opened;
  await grant(opened, { ...EDITOR, paths: ["/nodes/*[type=agent]/data/**", "/nodes/b/position/**"] });
  expect(page.textContent).toContain("Partly read only");
  expect([page.querySelector(".palette"), titleOf(page).disabled]).toEqual([null, true]);
  await drag(opened, "a", 40);
  await drag(opened, "b", 40);
  await act(() => desk.pass(1000));
  const { a, b } = desk.server.document.nodes;
  expect([a?.position.x, (b?.position.x ?? 0) > 400]).toEqual([100, true]);
  expect(page.querySelector(".refusal")).toBeNull();
  const isOff = (label: string): boolean | undefined =>
    [...page.querySelectorAll("label")].find((one) => one.textContent === label)?.parentElement?.querySelector("input, textarea, select")?.matches(":disabled");
  act(() => { nodeIn(page, "a").click(); });
  await act(() => desk.pass(100));
  expect(["Label", "Kind", "X", "Width"].map(isOff)).toEqual([false, true, true, true]);
  expect(button(page, "Delete")?.disabled).toBe(true);
  await grant(opened, { ...EDITOR, paths: ["/nodes/*[type=agent]", "/title"] });
  expect(["Label", "Kind", "X", "Width"].map(isOff)).toEqual([false, false, false, false]);
  expect([button(page, "Delete")?.disabled, titleOf(page).disabled]).toEqual([false, false]);
  expect([...page.querySelectorAll(".palette .kinds > button")].map((one) => one.textContent)).toEqual(["Agent"]);
});

test.each([0, 1])("acc72 who may not see it any more is told so, and may keep %d unsent changes", async (unsent) => {
  const opened = await openPage(roots, CONTENT);
  const { desk, page } = opened;
  if (unsent > 0) {
    desk.server.rights = VIEWER;
    await drag(opened, "a", 40);
  }
  await act(async () => {
    desk.server.revoke();
    await desk.pass(100);
  });
  const panel = page.querySelector<HTMLElement>("[role=alertdialog]") as HTMLElement;
  expect(panel.querySelector("h2")?.textContent).toBe("You no longer have access to this flow");
  expect([button(panel, "Keep a copy") !== undefined, panel.contains(document.activeElement)]).toEqual([unsent > 0, true]);
  desk.server.joinMood = () => null;
  desk.server.rights = EDITOR;
  await act(async () => {
    button(panel, "Try again")?.click();
    await desk.until(() => page.querySelector(".status.saved") !== null);
  });
  expect(desk.server.document.nodes["a"]?.position.x === 100).toBe(unsent === 0);
});

test.each([
  [["read"], ["Duplicate", "Save as a file"], null],
  [EDITOR.may, ["Rename", "Duplicate", "Save as a file"], "F2"],
  [undefined, ["Rename", "Duplicate", "Save as a file", "Delete"], "F2 Delete"],
])("acc73 home offers what one may do: %j", (may, offered, keys) => {
  standIn();
  const flow = { id: "f", title: "Plan", version: 1, node_count: 0, edge_count: 0, updated_at: 0, ...(may === undefined ? {} : { may }) };
  const page = show(roots, <FlowCard flow={flow} people={0} unsent={0} onChange={() => undefined} />);
  expect(page.querySelector(".open")?.getAttribute("aria-keyshortcuts")).toBe(keys);
  act(() => { button(page, "Actions for Plan")?.click(); });
  expect([...page.querySelectorAll("[role=menuitem]")].map((one) => one.textContent)).toEqual(offered);
});
