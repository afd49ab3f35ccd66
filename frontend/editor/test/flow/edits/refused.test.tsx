// @vitest-environment jsdom
/** What no document can hold is refused, and told; nothing of it is done. */

import { ReactFlowProvider } from "@xyflow/react";
import { useFlow, type UseFlowResult } from "helix-flows/react";
import { act } from "react";
import { createRoot } from "react-dom/client";
import { describe, expect, it, vi } from "vitest";

import { Desk, node } from "../../../../client/test/desk";
import { rootsOfTests } from "../../../../client/test/roots";
import { readPart } from "../../../src/flow/edits/parts";
import type { Actions } from "../../../src/flow/edits/useActions";
import { Toasts } from "../../../src/ui/Toasts";

vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => undefined }));
const { useActions } = await import("../../../src/flow/edits/useActions");
const { Announcer } = await import("../../../src/flow/status/announce");

const FAR = 2 ** 53;
const roots = rootsOfTests();

interface Opened {
  desk: Desk;
  now: () => { flow: UseFlowResult; actions: Actions; said: string };
}

/** Open a flow with a node at the end of the world, and one in its middle. */
async function open(): Promise<Opened> {
  const desk = new Desk();
  desk.server.edit({ nodes: { far: node("far", { position: { x: FAR, y: 0 } }), n: node("n") } });
  let flow: UseFlowResult | undefined;
  let actions: Actions | undefined;
  const Flow = () => {
    flow = useFlow("demo", { url: "http://helix.test", keeper: null, webSocket: desk.network.webSocket });
    actions = useActions(flow, false, () => true);
    return <div className="stage"><Announcer /><Toasts /></div>;
  };
  const place = document.body.appendChild(document.createElement("div"));
  const root = createRoot(place);
  roots.push(root);
  act(() => { root.render(<ReactFlowProvider><Flow /></ReactFlowProvider>); });
  await act(() => desk.until(() => flow?.status.kind === "saved"));
  return { desk, now: () => ({ flow: flow as UseFlowResult, actions: actions as Actions, said: place.querySelector(".announcer")?.textContent.trim() ?? "" }) };
}

const part = (...nodes: object[]): string => JSON.stringify({ format: "helix-flow-part", nodes, edges: [] });

describe("EDI65: an edit that no document can hold", () => {
  it.each<[string, string, (actions: Actions) => void]>([
    ["a move beyond all numbers", "nodes/far/position/x", (actions) => { actions.nudge({ x: 8, y: 0 }); }],
    ["a copy beyond them", "position/x", (actions) => { actions.duplicate(); }],
    ["pasted nodes with a prototype", "__proto__", (actions) => { actions.paste(part({ ...node("a"), data: JSON.parse('{"__proto__": {"x": 1}}') as object })); }],
    ["pasted nodes of an impossible type", "type", (actions) => { actions.paste(part({ ...node("a"), type: { toString: 5 } })); }],
    ["pasted nodes that nest too deep", "nests deeper", (actions) => { actions.paste(part({ ...node("a"), data: { x: JSON.parse(`${"[".repeat(40)}${"]".repeat(40)}`) as object } })); }],
  ])("is told as refused, and not as done: %s", async (_, words, run) => {
    const { desk, now } = await open();
    act(() => { now().actions.select(["far"]); });
    const { document } = now().flow;
    act(() => { run(now().actions); });
    await act(() => desk.pass(700));
    const { refusals } = now().flow.sync.state;
    expect(refusals).toHaveLength(1);
    expect(refusals[0]).toMatchObject({ code: "invalid_patch", reason: expect.stringContaining(words) as string });
    expect(now().flow.document).toBe(document);
    expect(now().said).toBe("");
    expect(now().actions.selected).toEqual(["far"]);
  });

  it("doesn't keep the next one from being done", async () => {
    const { desk, now } = await open();
    act(() => { now().actions.select(["far"]); });
    act(() => { now().actions.nudge({ x: 8, y: 0 }); });
    act(() => { now().actions.select(["n"]); });
    act(() => { now().actions.nudge({ x: 8, y: 0 }); });
    await act(() => desk.pass(700));
    expect(desk.server.document.nodes["n"]).toMatchObject({ position: { x: 8, y: 0 } });
    expect(now().said).toBe("Moved 1 node");
  });

  it("is told, where very much is pasted", async () => {
    const { desk, now } = await open();
    act(() => { now().actions.paste(part(...Array.from({ length: 20_001 }, (_, n) => node(`p${n}`)))); });
    await act(() => desk.pass(700));
    expect(document.body.textContent).toContain("At most 20000 nodes and edges can be pasted at once.");
    expect(Object.keys(now().flow.document?.nodes ?? {})).toHaveLength(2);
  });

  it("is no part of a flow, where its nodes are at places that no flow has", () => {
    expect(readPart(part(node("a")))?.nodes).toHaveLength(1);
    expect(readPart(part({ ...node("a"), position: { x: 1e300, y: 0 } }))).toBeNull();
    expect(readPart("[".repeat(100_000))).toBeNull();
  });
});

describe("EDI65: what is dragged here from another page", () => {
  it.each(["toString", "__proto__", "x".repeat(100_000), "other", "group"])("adds nothing unless it is a kind of the palette: %s", async (type) => {
    const { desk, now } = await open();
    act(() => { now().actions.drop(type, { x: 0, y: 0 }); });
    await act(() => desk.pass(700));
    expect(Object.keys(desk.server.document.nodes)).toHaveLength(2);
    act(() => { now().actions.drop("agent", { x: 0, y: 0 }); });
    await act(() => desk.pass(700));
    expect(Object.keys(desk.server.document.nodes)).toHaveLength(3);
  });
});
