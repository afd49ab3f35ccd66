import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { emptyDocument } from "../../src/model/document";
import { Losses } from "../../src/model/losses";
import type { FlowSync } from "../../src/sync/sync";
import type { FlowDocument, FlowEdge, FlowEvent, JsonObject } from "../../src/types";
import { Desk, node, NODE } from "../desk";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.clearAllTimers();
  vi.useRealTimers();
});

const EDGE = { id: "e1", source: "n1", target: "n2" };

/** Ada edits nodes, far away; Ben has deleted all. */
function lostAll(edit: (ada: FlowSync) => void): ReturnType<typeof lost> {
  return lost(edit, false, { n1: null, n2: null });
}

/** Ada edits a node, far away; Ben has deleted it meanwhile. */
async function lost(
  edit: (ada: FlowSync) => void,
  isWhole = false,
  gone: JsonObject = { n1: null },
): Promise<{ desk: Desk; ada: FlowSync; events: FlowEvent[] }> {
  const desk = new Desk();
  desk.server.edit({ nodes: { n1: NODE, n2: node("n2") }, edges: { e1: EDGE } });
  const ada = await desk.join();
  const events: FlowEvent[] = [];
  ada.listen((event) => events.push(event));
  desk.network.isUp = false;
  desk.network.cut();
  edit(ada);
  desk.server.edit({ nodes: { n1: { data: { seen: true } } } }, "Ben");
  desk.server.edit({ nodes: gone }, "Ben");
  desk.server.isWhole = isWhole;
  desk.network.isUp = true;
  ada.retryNow();
  await desk.until(() => ada.state.status.kind === "saved");
  return { desk, ada, events: events.filter(({ type }) => type === "dropped") };
}

function write(ada: FlowSync): void {
  for (const label of ["m", "mi", "min", "mine"]) {
    ada.patch({ nodes: { n1: { data: { label } } } });
  }
}

describe("what was dropped", () => {
  test("jsc15 an edge that went with a node is brought back with it", async () => {
    const { ada } = await lost((one) => {
      one.patch({ edges: { e1: { label: "mine" } } });
    });
    const [dropped] = ada.state.dropped;
    expect(dropped?.deletions.map(({ id }) => id)).toEqual(["e1", "n1"]);
    expect(dropped !== undefined && ada.restore(dropped)).toBe(true);
    expect(ada.state.document?.nodes).toHaveProperty("n1");
    expect(ada.state.document?.edges["e1"]).toEqual({ ...EDGE, label: "mine" });
  });

  test("jsc15 edges come back where both ends do, and nothing is asked of others", async () => {
    const { desk, ada } = await lostAll((one) => {
      one.patch({ nodes: { n1: { data: { label: "one" } } } });
    });
    expect(ada.restore(...ada.state.dropped)).toBe(true);
    await desk.until(() => ada.state.status.kind === "saved");
    expect(ada.state.dropped).toEqual([]);
    expect(desk.server.document).toMatchObject({ nodes: { n1: { data: { label: "one" } } }, edges: {} });
    expect(Object.keys(desk.server.document.nodes)).toEqual(["n1"]);
  });

  test("jsc15 several are brought back as one step, with the edges between them", async () => {
    const { desk, ada } = await lostAll((one) => {
      one.patch({ nodes: { n1: { data: { label: "one" } } } });
      one.patch({ nodes: { n2: { data: { label: "two" } } } });
    });
    expect(ada.restore(...ada.state.dropped)).toBe(true);
    await desk.until(() => ada.state.status.kind === "saved");
    expect(ada.state.dropped).toEqual([]);
    const labels = Object.values(desk.server.document.nodes).map(({ data }) => data["label"]);
    expect([labels, Object.keys(desk.server.document.edges)]).toEqual([["one", "two"], ["e1"]]);
    ada.undo();
    expect(ada.state.document).toMatchObject({ nodes: {}, edges: {} });
  });

  test("jsc15 is told, with who deleted what it was made to, until it is dismissed", async () => {
    const { ada, events } = await lost(write);
    expect(ada.state.dropped).toMatchObject([
      {
        opId: 4,
        paths: ["/nodes/n1"],
        patch: { nodes: { n1: { data: { label: "mine" } } } },
        deletions: [{ kind: "nodes", id: "n1", value: { data: { seen: true } }, by: "Ben" }],
      },
    ]);
    expect(events).toHaveLength(4);
    expect(events.at(-1)).toEqual({ type: "dropped", dropped: ada.state.dropped[0] });
    expect(ada.state.canUndo).toBe(false);
    ada.dismiss(ada.state.dropped[0]);
    expect(ada.state.dropped).toEqual([]);
  });

  test("jsc15 is brought back on top of what the node was, with its edges, as one step", async () => {
    const { desk, ada } = await lost(write);
    const [dropped] = ada.state.dropped;
    expect(dropped !== undefined && ada.restore(dropped)).toBe(true);
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document.nodes["n1"]).toEqual({
      ...NODE,
      data: { label: "mine", seen: true },
    });
    expect(desk.server.document.edges).toEqual({ e1: EDGE });
    expect(ada.state.dropped).toEqual([]);
    ada.undo();
    expect(Object.keys(ada.state.document?.nodes ?? {})).toEqual(["n2"]);
  });

  test("jsc15 is set where the node is back already, and nothing else is", async () => {
    const { desk, ada } = await lost(write);
    desk.server.edit({ nodes: { n1: { ...NODE, data: { label: "theirs", other: 1 } } } });
    await desk.pass(10);
    const [dropped] = ada.state.dropped;
    expect(dropped !== undefined && ada.restore(dropped)).toBe(true);
    expect(ada.state.document?.nodes["n1"]?.data).toEqual({ label: "mine", other: 1 });
    expect(ada.state.document?.edges).toEqual({ e1: EDGE });
  });

  test("jsc15 is known of a document that came whole, but not who did it", async () => {
    const { ada } = await lost(write, true);
    expect(ada.state.dropped).toMatchObject([
      { paths: ["/nodes/n1"], deletions: [{ id: "n1", by: null }] },
    ]);
    const [dropped] = ada.state.dropped;
    expect(dropped !== undefined && ada.restore(dropped)).toBe(true);
    expect(ada.state.document?.nodes["n1"]?.data).toEqual({ label: "mine" });
    expect(ada.state.document?.edges).toEqual({ e1: EDGE });
  });

  test("jsc15 may be an edge to what somebody deleted, whose end comes back with it", async () => {
    const { desk, ada } = await lost((one) => {
      one.patch({ edges: { e2: { id: "e2", source: "n2", target: "n1" } } });
    });
    expect(ada.state.dropped).toMatchObject([
      { paths: ["/edges/e2"], deletions: [{ kind: "nodes", id: "n1", by: "Ben" }] },
    ]);
    const [dropped] = ada.state.dropped;
    expect(dropped !== undefined && ada.restore(dropped)).toBe(true);
    await desk.until(() => ada.state.status.kind === "saved");
    expect(Object.keys(desk.server.document.edges)).toEqual(["e1", "e2"]);
    expect(desk.server.document.nodes["n1"]?.data).toEqual({ seen: true });
  });

  test("jsc15 is told once, whether the entry or the answer says it first", async () => {
    const { ada, desk, events } = await lost((one) => {
      one.patch({ title: "kept", nodes: { n1: { data: { label: "mine" } } } });
    });
    await desk.pass(1000);
    expect(desk.server.log.at(-1)).toMatchObject({ dropped: ["/nodes/n1"] });
    expect(events).toHaveLength(1);
    expect(ada.state.document?.title).toBe("kept");
    expect(ada.state.canUndo).toBe(true);
  });
});

describe("a flow that somebody clears", () => {
  /** Make a flow of a row of nodes, and count how often the ends of its edges are read. */
  function row(count: number): { document: FlowDocument; reads: () => number } {
    let read = 0;
    const counted = (edge: FlowEdge): FlowEdge => new Proxy(edge, {
      get: (target, name) => {
        read += 1;
        return Reflect.get(target, name) as unknown;
      },
    });
    const ids = Array.from({ length: count }, (_, n) => `n${n}`);
    const edges = ids.slice(1).map((target, n) => counted({ id: `e${n}`, source: `n${n}`, target }));
    const document = {
      ...emptyDocument(),
      nodes: Object.fromEntries(ids.map((id) => [id, node(id) as FlowDocument["nodes"][string]])),
      edges: Object.fromEntries(edges.map((edge, n) => [`e${n}`, edge])),
    };
    return { document, reads: () => read };
  }

  const gone = (members: object): JsonObject => Object.fromEntries(Object.keys(members).map((id) => [id, null]));

  test("jsc45 is looked through in proportion to what was in it, whether told by an entry or by a whole document", () => {
    const { document, reads } = row(1_000);
    const patch = { nodes: gone(document.nodes), edges: gone(document.edges) };
    new Losses().watch({ version: 1, client_id: "b", op_id: 1, by: "Ben", at: 0, patch }, document);
    new Losses().compare(document, emptyDocument());
    expect(reads()).toBeLessThan(10_000);
  });

  test("jsc15 is known with the edges of each node", () => {
    const { document } = row(3);
    const losses = new Losses();
    losses.compare(document, emptyDocument());
    const op = { opId: 1, patch: { nodes: { n1: { data: { label: "mine" } } } } } as never;
    expect(losses.note(op, ["/nodes/n1"], emptyDocument())?.deletions[0]?.edges.map(({ id }) => id)).toEqual(["e0", "e1"]);
  });
});
