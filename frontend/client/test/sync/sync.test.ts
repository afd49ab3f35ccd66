import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { publicId } from "../../src/model/ids";
import type { FlowEvent } from "../../src/types";
import { Desk, node, NODE, standing } from "../desk";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.clearAllTimers();
  vi.useRealTimers();
});

const AWAY = { reason: "The store is away", code: "store_unavailable", retry: true };
const WRONG = { reason: "/title: must be a string", code: "invalid_patch", retry: false };

describe("changes", () => {
  test("jsc1 a change is shown at once, and saved when the server has it", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    const ben = await desk.join();
    ada.patch({ nodes: { n1: NODE } });
    expect(ada.state.document?.nodes["n1"]).toEqual(NODE);
    expect(standing(ada.state.status)).toEqual(["saving", 1, null]);
    await desk.until(() => ada.state.status.kind === "saved");
    await desk.until(() => ben.state.version === 1);
    expect(ben.state.document).toEqual(desk.server.document);
  });

  test("jsc1 what others do goes under one's own changes", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    desk.network.delay = () => 50;
    ada.patch({ title: "mine" });
    desk.server.edit({ title: "theirs", description: "theirs" });
    await desk.until(() => ada.state.version === 1);
    expect(ada.state.document).toMatchObject({ title: "mine", description: "theirs" });
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document.title).toBe("mine");
  });

  test("jsc1 a late drag doesn't bring a deleted node back", async () => {
    const desk = new Desk();
    desk.server.edit({ nodes: { n1: NODE } });
    const ada = await desk.join();
    desk.network.delay = () => 50;
    ada.patch({ nodes: { n1: { position: { x: 9, y: 9 } } } });
    desk.server.edit({ nodes: { n1: null } });
    await desk.until(() => ada.state.status.kind === "saved");
    expect(ada.state.document?.nodes).toEqual({});
    expect(ada.undo()).toBe(false);
  });

  test("jsc1 what changes nothing is not sent", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    ada.patch({ title: "", nodes: { n1: { position: { x: 1 } } } });
    expect(ada.state.status.unsent).toBe(0);
    expect(ada.state.canUndo).toBe(false);
    await desk.pass(1000);
    expect(desk.sent).toEqual([]);
  });

  test("jsc3 what wasn't answered is sent again under the same ids, and counts once", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    desk.network.delay = () => 300;
    ada.patch({ nodes: { n1: NODE } });
    ada.patch({ nodes: { n1: { position: { x: 1 } } } });
    desk.network.delay = () => 1;
    desk.network.cut();
    expect(ada.state.status.kind).toBe("offline");
    ada.patch({ title: "offline" });
    expect(ada.state.status.unsent).toBe(3);
    await desk.until(() => ada.state.status.kind === "saved");
    await desk.pass(300);
    // What the old connection still carried comes last.
    expect(desk.sent.map(({ op_id }) => op_id)).toEqual([1, 2, 3, 1, 2]);
    expect(desk.server.log.map(({ op_id }) => op_id)).toEqual([1, 2, 3]);
  });

  test("jsc3 what the server can't take for now is sent again first, and what is behind it after", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    let refusals = 2;
    desk.server.mood = (_, opId) => (opId === 1 && refusals-- > 0 ? AWAY : null);
    ada.patch({ title: "1" });
    ada.patch({ title: "2" });
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.log.map(({ patch }) => patch)).toEqual([{ title: "1" }, { title: "2" }]);
    expect(ada.state.refusals).toEqual([]);
  });

  test("jsc18 while the server can't save, the status says so, and why", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    desk.server.mood = () => AWAY;
    ada.patch({ title: "1" });
    expect(ada.state.status.error).toBeNull();
    await desk.until(() => ada.state.status.error !== null);
    expect(ada.state.status).toMatchObject({ kind: "saving", error: { code: AWAY.code, reason: AWAY.reason } });
    ada.patch({ title: "2" });
    await desk.pass(1000);
    expect(standing(ada.state.status)).toEqual(["saving", 2, AWAY.code]);
    expect(ada.state.document?.title).toBe("2");
    desk.server.mood = () => null;
    await desk.until(() => ada.state.status.kind === "saved");
    expect(ada.state.status.error).toBeNull();
  });

  test("jsc18 why the server can't save is forgotten with the connection", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    desk.server.mood = () => AWAY;
    ada.patch({ title: "1" });
    await desk.until(() => ada.state.status.error !== null);
    desk.server.mood = () => null;
    const seen: [string, string | null][] = [];
    ada.subscribe(() => {
      const [kind, , code] = standing(ada.state.status);
      seen.push([kind, code]);
    });
    desk.server.end("phx_error");
    await desk.until(() => ada.state.status.kind === "offline");
    seen.length = 0;
    await desk.until(() => ada.state.status.kind === "saved");
    expect(seen).toContainEqual(["saving", null]);
    expect(seen).not.toContainEqual(["saving", AWAY.code]);
  });

  test("jsc4 a refused change is undone and told of, until it is dismissed", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    const events: FlowEvent[] = [];
    ada.listen((event) => events.push(event));
    ada.patch({ title: "right" });
    ada.patch({ title: 7, description: "wrong" });
    ada.patch({ data: { right: true } });
    await desk.until(() => ada.state.status.kind === "saved");
    expect(ada.state.document).toMatchObject({ title: "right", description: "", data: { right: true } });
    expect(ada.state.refusals).toMatchObject([{ code: "invalid_patch", opId: 2 }]);
    expect(events.filter(({ type }) => type === "refused")).toHaveLength(1);
    ada.dismiss(ada.state.refusals[0]);
    expect(ada.state.refusals).toEqual([]);
    const no = { reason: "No", code: "invalid_patch" };
    ada.refuse(no, { title: "one" });
    ada.refuse(no, { title: "two" });
    ada.dismiss(ada.state.refusals[0]);
    expect(ada.state.refusals.map(({ patch }) => patch)).toEqual([{ title: "two" }]);
    ada.dismiss();
    expect(ada.state.refusals).toEqual([]);
    ada.undo();
    expect(ada.state.document?.data).toEqual({});
    ada.undo();
    expect(ada.state.document?.title).toBe("");
  });

  test("jsc4 a change that no frame can carry is refused here", async () => {
    const desk = new Desk();
    desk.server.limits = { max_frame_bytes: 4096 };
    const ada = await desk.join();
    ada.patch({ title: "x".repeat(4096) });
    const reason = "/title: it takes 4098 bytes, and a change at most 2048";
    expect(ada.state.refusals).toMatchObject([{ code: "patch_too_large", reason }]);
    expect(ada.state.canUndo).toBe(false);
    expect(ada.state.document?.title).toBe("");
    expect(desk.sent).toEqual([]);
  });

  test("jsc1 an empty flow begins with what is initial, another doesn't", async () => {
    const desk = new Desk();
    const initial = { nodes: { n1: NODE } };
    const [ada, ben] = [desk.open({ initial }), desk.open({ initial })];
    await desk.until(() => ada.state.version === 1 && ben.state.status.kind === "saved");
    expect(desk.server.log).toHaveLength(1);
    expect(ada.state.canUndo).toBe(false);
    desk.server.edit({ nodes: { n1: null } });
    const eve = await desk.join({ initial });
    await desk.pass(1000);
    expect(eve.state.document?.nodes).toEqual({});
  });
});

describe("the connection", () => {
  test("jsc5 a join resumes from what one has", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    ada.patch({ title: "A" });
    await desk.until(() => ada.state.version === 1);
    desk.network.cut();
    desk.server.edit({ description: "missed" });
    await desk.until(() => ada.state.version === 2);
    const joins = desk.server.heardEvents("phx_join");
    expect(joins[0]).not.toHaveProperty("epoch");
    const chain = desk.server.chain(1);
    expect(joins[1]).toMatchObject({ epoch: "epoch1", version: 1, chain });
    // What others call it tells nobody by what name it joins.
    const names = joins.map(({ client_id }) => String(client_id));
    expect(new Set(names).size).toBe(1);
    expect(names.map(publicId)).toEqual([ada.clientId, ada.clientId]);
    expect(ada.state.document).toEqual(desk.server.document);
  });

  test.each([
    ["a gap", { entries: [{ version: 7, patch: { title: "?" } }] }, "epoch1"],
    ["what can't be understood", { entries: 7 }, undefined],
  ])("jsc5 %s ends the connection, and another brings what is missing", async (_, payload, epoch) => {
    const desk = new Desk();
    const ada = await desk.join();
    desk.server.broadcast("entries", payload);
    await desk.until(() => ada.state.status.kind === "offline");
    desk.server.edit({ title: "missed" });
    await desk.until(() => ada.state.status.kind === "saved");
    expect(ada.state.document?.title).toBe("missed");
    expect(desk.server.heardEvents("phx_join").at(-1)?.["epoch"]).toBe(epoch);
  });

  test("jsc5 a reset replaces everything but what isn't saved", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    ada.patch({ title: "saved" });
    await desk.until(() => ada.state.status.kind === "saved");
    desk.network.delay = () => 20;
    ada.patch({ description: "not yet" });
    desk.server.epoch = "epoch2";
    desk.server.log.length = 0;
    desk.server.document = { ...desk.server.document, title: "restored" };
    desk.server.broadcast("reset", { epoch: "epoch2", version: 0, document: desk.server.document });
    await desk.until(() => ada.state.epoch === "epoch2");
    expect(ada.state.document).toMatchObject({ title: "restored", description: "not yet" });
    expect(ada.state.canUndo).toBe(false);
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document.description).toBe("not yet");
  });

  test("jsc5 a push that the server's channel doesn't know leads to another join", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    desk.server.forget();
    ada.patch({ title: "A" });
    await desk.until(() => desk.server.version === 1);
    await desk.until(() => ada.state.status.kind === "saved");
  });

  test("jsc5 a push that is never answered leads to another join", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    desk.network.delay = () => 40_000;
    ada.patch({ title: "A" });
    await desk.pass(29_000);
    expect(ada.state.status.kind).toBe("saving");
    await desk.pass(2000);
    expect(ada.state.status.kind).toBe("offline");
    desk.network.delay = () => 1;
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.log).toHaveLength(1);
  });

  test("jsc6 a crash of the channel is followed by another join", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    desk.server.end("phx_error");
    await desk.until(() => ada.state.status.kind === "offline");
    await desk.until(() => ada.state.status.kind === "saved");
  });

  test("jsc6 the end of a session is followed by another join", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    desk.server.broadcast("session_ended", { flow_id: "demo", timestamp: 0 });
    desk.server.end("phx_error");
    await desk.until(() => ada.state.status.kind === "offline");
    expect(ada.state.status.error?.code).toBe("session_ended");
    ada.patch({ title: "meanwhile" });
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document.title).toBe("meanwhile");
  });

  test("jsc7 a token that can't be had once is asked for again", async () => {
    const desk = new Desk();
    let calls = 0;
    const ada = desk.open({
      token: () => {
        calls += 1;
        if (calls < 3) {
          throw new Error("not signed in yet");
        }
        return "token";
      },
    });
    await desk.pass(10);
    expect(ada.state.status.error?.reason).toContain("not signed in yet");
    await desk.until(() => ada.state.status.kind === "saved");
    expect(calls).toBe(3);
  });

  test("jsc5 a connection that isn't there in 20 s is given up, and that is told", async () => {
    const desk = new Desk();
    desk.network.delay = () => 50_000;
    const ada = desk.open();
    await desk.pass(20_200);
    expect(ada.state.status.error?.reason).toBe("The server doesn't answer");
    desk.network.delay = () => 1;
    await desk.until(() => ada.state.status.kind === "saved");
  });

  test("jsc6 phx_close is the end, and a deleted flow says so; what isn't saved stays in sight", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    const events: FlowEvent[] = [];
    ada.listen((event) => events.push(event));
    desk.network.delay = () => 20;
    ada.patch({ title: "too late" });
    desk.server.broadcast("flow_deleted", { flow_id: "demo", timestamp: 0 });
    desk.server.end("phx_close");
    await desk.until(() => ada.state.status.kind === "closed");
    expect(standing(ada.state.status)).toEqual(["closed", 1, "flow_deleted"]);
    expect(ada.state.document?.title).toBe("too late");
    expect(events.at(-1)).toMatchObject({ type: "closed", error: { code: "flow_deleted" } });
    const { connects } = desk.network;
    await desk.pass(60_000);
    expect(desk.network.connects).toBe(connects);
  });

  test("jsc14 names of versions that may be others are told, and what was unseen too", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    const seen = [ada.state.namesChanged];
    const note = async (): Promise<void> => {
      await desk.until(() => ada.state.namesChanged !== seen.at(-1));
      seen.push(ada.state.namesChanged);
    };
    const named = { epoch: "epoch1", version: 0, name: "Empty", by: "Grace", at: 0 };
    desk.server.broadcast("version_named", named);
    await note();
    desk.server.broadcast("versions_changed", {});
    await note();
    desk.server.broadcast("reset", { epoch: "epoch2", version: 0, document: desk.server.document });
    await note();
    desk.server.epoch = "epoch2";
    desk.server.end("phx_error");
    await note();
    const now = seen.at(-1);
    desk.server.edit({ title: "new" });
    await desk.until(() => ada.state.document?.title === "new");
    expect(ada.state.namesChanged).toBe(now);
    expect(new Set(seen).size).toBe(5);
  });

  test("jsc6 by whom a flow was deleted is told where it is known", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    desk.server.broadcast("flow_deleted", { flow_id: "demo", timestamp: 0, by: "Grace" });
    desk.server.end("phx_close");
    await desk.until(() => ada.state.status.kind === "closed");
    const error = { reason: "Grace deleted the flow", code: "flow_deleted", by: "Grace" };
    expect(ada.state.status.error).toEqual(error);
  });

  test.each([
    ["that says no retry", { ...WRONG, close: false }],
    ["followed by phx_close", { reason: "No", code: "flow_deleted", retry: true, close: true }],
  ])("jsc6 a join's refusal %s is the end", async (_, refused) => {
    const desk = new Desk();
    desk.server.joinMood = () => refused;
    const ada = desk.open();
    await desk.until(() => ada.state.status.kind === "closed");
    expect(ada.state.status.error?.code).toBe(refused.code);
    await desk.pass(60_000);
    expect(desk.network.connects).toBe(1);
  });

  test("jsc6 a close code from 4500 on is the end", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    const wires = new Set<number>();
    desk.network.serve({
      ...desk.network.service,
      received: (wire) => {
        wires.add(wire.number);
        wire.close(4500);
      },
    });
    ada.patch({ title: "A" });
    await desk.until(() => ada.state.status.kind === "closed");
    await desk.pass(60_000);
    expect([wires.size, desk.network.connects]).toEqual([1, 1]);
  });

  test("jsc7 after ten attempts it says so, tries slowly, and at once when told to", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    desk.network.isUp = false;
    desk.network.cut();
    expect(ada.state.status).toMatchObject({ kind: "offline", failedAttempts: 0, isSlow: false });
    await desk.until(() => ada.state.status.failedAttempts === 9);
    expect(ada.state.status.isSlow).toBe(false);
    await desk.until(() => ada.state.status.isSlow);
    expect(ada.state.status.failedAttempts).toBe(10);
    const wait = Number(ada.state.status.nextAttemptAt) - Date.now();
    expect(wait).toBeGreaterThan(30_000);
    expect(wait).toBeLessThanOrEqual(60_000);
    desk.network.isUp = true;
    ada.retryNow();
    await desk.pass(50);
    expect(ada.state.status).toMatchObject({ kind: "saved", failedAttempts: 0, isSlow: false });
  });

  test("jsc7 it goes on trying by itself", async () => {
    const desk = new Desk();
    desk.network.isUp = false;
    const ada = desk.open();
    await desk.pass(400_000);
    expect(ada.state.status).toMatchObject({ kind: "offline", isSlow: true });
    desk.network.isUp = true;
    await desk.until(() => ada.state.status.kind === "saved");
  });

  test("jsc7 waits are drawn, and grow", async () => {
    const desk = new Desk();
    desk.network.isUp = false;
    const drawn = [0.25, 0.5, 0.75];
    const ada = desk.open({ random: () => drawn[0] ?? 0 });
    const waits: number[] = [];
    for (let n = 1; n <= 3; n += 1) {
      await desk.until(() => ada.state.status.failedAttempts === n);
      const next = Number(ada.state.status.nextAttemptAt);
      waits.push(Math.round(next - Date.now()));
      const { connects } = desk.network;
      await desk.pass(Math.max(0, Math.floor(next - Date.now()) - 1));
      expect(desk.network.connects).toBe(connects);
      drawn.shift();
    }
    expect(waits.map((wait) => wait > 0)).toEqual([true, true, true]);
    expect(waits[0]).toBeLessThanOrEqual(25);
    expect(waits[1]).toBeLessThanOrEqual(100);
    expect(waits[2]).toBeLessThanOrEqual(300);
    expect(Number(waits[2])).toBeGreaterThan(Number(waits[0]));
  });

  test("clk1 waits are short again after a connection that lasted, though the clock was set back", async () => {
    const desk = new Desk();
    desk.network.isUp = false;
    const ada = desk.open({ random: () => 0.9 });
    await desk.until(() => ada.state.status.failedAttempts === 6);
    desk.network.isUp = true;
    await desk.until(() => ada.state.status.kind === "saved");
    vi.setSystemTime(Date.now() - 3_600_000);
    await desk.pass(11_000);
    desk.network.isUp = false;
    desk.network.cut();
    await desk.until(() => ada.state.status.failedAttempts === 1);
    expect(Number(ada.state.status.nextAttemptAt) - Date.now()).toBeLessThanOrEqual(200);
  });
});

describe("gathering", () => {
  test("jsc9 typing is shown at once, and sent together after half a second", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    for (const title of ["H", "He", "Hel"]) {
      ada.gather("title", { title });
      expect(ada.state.document?.title).toBe(title);
      await desk.pass(100);
    }
    expect(desk.sent).toEqual([]);
    expect(ada.state.status.unsent).toBe(1);
    await desk.pass(250);
    expect(desk.sent).toEqual([{ op_id: 1, patch: { title: "Hel" } }]);
  });

  test("jsc9 a flush, or any other change, sends it at once and in order", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    ada.gather("title", { title: "A" });
    ada.flush();
    ada.gather("title", { title: "B" });
    ada.patch({ description: "C" });
    ada.gather("a", { title: "D" });
    ada.gather("b", { description: "E" });
    ada.stop();
    await desk.pass(20);
    expect(desk.sent.map(({ patch }) => patch)).toEqual([
      { title: "A" },
      { title: "B" },
      { description: "C" },
      { title: "D" },
      { description: "E" },
    ]);
  });

  test("jsc9 what no one patch can tell is told by two", async () => {
    const desk = new Desk();
    desk.server.edit({ data: { a: { x: 1 } } });
    const ada = await desk.join();
    ada.gather("data", { data: { a: null } });
    ada.gather("data", { data: { a: { y: 1 } } });
    ada.flush();
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document.data).toEqual({ a: { y: 1 } });
  });

  test("jsc10 what is typed in a row is one step of undo, until a blur or a pause", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    for (const title of ["a", "ab", "abc", "abcd"]) {
      ada.gather("title", { title });
      await desk.pass(400);
    }
    await desk.pass(1500);
    ada.gather("title", { title: "other" });
    ada.undo();
    expect(ada.state.document?.title).toBe("abcd");
    ada.undo();
    expect(ada.state.document?.title).toBe("");
    ada.redo();
    ada.redo();
    expect(ada.state.document?.title).toBe("other");
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document.title).toBe("other");
  });

  test("jsc10 undo respects what others have done since", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    ada.patch({ nodes: { n1: NODE, n2: node("n2") } });
    ada.patch({ nodes: { n1: { position: { x: 5 } }, n2: { position: { x: 5 } } } });
    await desk.until(() => ada.state.status.kind === "saved");
    desk.server.edit({ nodes: { n1: { position: { x: 7 } } } });
    await desk.until(() => ada.state.document?.nodes["n1"]?.position.x === 7);
    expect(ada.undo()).toBe(true);
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document.nodes["n1"]?.position.x).toBe(7);
    expect(desk.server.document.nodes["n2"]?.position.x).toBe(0);
  });

  test("jsc10 a deletion's undo brings back what it took that one hadn't seen", async () => {
    const desk = new Desk();
    desk.server.edit({ nodes: { n1: NODE, n2: node("n2") } });
    const ada = await desk.join();
    desk.network.delay = () => 20;
    ada.patch({ nodes: { n1: null } });
    desk.server.edit({ edges: { e1: { id: "e1", source: "n1", target: "n2" } } });
    // So both come at once, by the next join.
    desk.network.cut();
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document.edges).toEqual({});
    ada.undo();
    await desk.until(() => ada.state.status.kind === "saved");
    expect(Object.keys(desk.server.document.edges)).toEqual(["e1"]);
  });
});

describe("presence", () => {
  test("jsc11 a join says who one is, and what one shows of oneself is said again after each", async () => {
    const desk = new Desk();
    const user = { id: "ada", name: "Ada", color: "#123456" };
    const ada = await desk.join({ user });
    await desk.pass(10);
    expect(desk.server.heardEvents("phx_join")).toMatchObject([{ user }]);
    expect(desk.server.heardEvents("presence")).toEqual([]);
    ada.setPresence({ selection: ["n1"] });
    ada.setPresence({ selection: ["n2"], editing: { node: "n2" } });
    ada.setPresence({ editing: null });
    await desk.pass(200);
    const shown = { selection: ["n2"], editing: null };
    expect(desk.server.heardEvents("presence").at(-1)).toEqual(shown);
    const { length } = desk.server.heardEvents("presence");
    desk.network.cut();
    await desk.until(() => ada.state.status.kind === "saved");
    await desk.pass(10);
    expect(desk.server.heardEvents("presence").slice(length)).toEqual([shown]);
  });

  test("jsc11 the members are those that Phoenix's presence lists", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    const meta = (ref: string, rest: object): object => ({ phx_ref: ref, ...rest });
    desk.server.broadcast("presence_state", {
      u1: { metas: [meta("a", { client_id: ada.clientId, name: "Ada", color: "red" })] },
      u2: { metas: [meta("b", { client_id: "ben", name: "Ben" }), meta("c", { client_id: "ben2" })] },
    });
    await desk.pass(10);
    expect(ada.state.members.map(({ clientId, key, name, isSelf }) => [clientId, key, name, isSelf])).toEqual([
      [ada.clientId, "u1", "Ada", true],
      ["ben", "u2", "Ben", false],
      ["ben2", "u2", "Somebody", false],
    ]);
    expect(ada.state.members[0]?.meta).toEqual({ name: "Ada", color: "red" });
    desk.server.broadcast("presence_diff", {
      joins: {},
      leaves: { u2: { metas: [meta("b", {})] } },
    });
    await desk.pass(10);
    expect(ada.state.members.map(({ clientId }) => clientId)).toEqual([ada.clientId, "ben2"]);
    desk.network.cut();
    expect(ada.state.members).toEqual([]);
  });

  test("jsc11 cursors go out at most 30 times a second, the newest always", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    for (let ms = 0; ms < 1000; ms += 5) {
      ada.setCursor({ x: ms, y: 0 });
      await desk.pass(5);
    }
    await desk.pass(50);
    const cursors = desk.server.heardEvents("cursor");
    expect(cursors.length).toBeLessThanOrEqual(31);
    expect(cursors.length).toBeGreaterThan(25);
    expect(cursors.at(-1)).toEqual({ x: 995, y: 0 });
    ada.setCursor(null);
    await desk.pass(50);
    expect(desk.server.heardEvents("cursor").at(-1)).toEqual({});
  });

  test("jsc11 of what is too much to be told, as much is told as may be", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    const ids = Array.from({ length: 300 }, (_, n) => `a-node-with-a-long-name-${n}`);
    ada.setPresence({ editing: null, selection: ids });
    ada.setCursor({ x: 0, y: 0, moving: Object.fromEntries(ids.map((id) => [id, { x: 1, y: 1 }])) });
    await desk.pass(200);
    const [meta] = desk.server.heardEvents("presence");
    expect(JSON.stringify(meta).length).toBeLessThanOrEqual(4096);
    const selection = meta?.["selection"] as string[];
    expect(selection.length).toBeGreaterThan(80);
    expect(selection).toEqual(ids.slice(0, selection.length));
    expect(meta?.["selected"]).toBe(300);
    const moving = Object.keys(desk.server.heardEvents("cursor")[0]?.["moving"] ?? {});
    expect(moving).toEqual(ids);
  });

  test("jsc11 others' cursors are shown, one's own isn't, and those who are gone have none", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    const ben = { x: 1, y: 2, moving: { n1: { x: 3, y: 4 } } };
    desk.server.broadcast("cursors", { ben, eve: { x: 0, y: 0 }, [ada.clientId]: { x: 9, y: 9 } });
    await desk.pass(10);
    expect([...ada.state.cursors]).toEqual([
      ["ben", ben],
      ["eve", { x: 0, y: 0 }],
    ]);
    desk.server.broadcast("cursors", { eve: {} });
    await desk.pass(10);
    expect([...ada.state.cursors.keys()]).toEqual(["ben"]);
    desk.network.cut();
    expect(ada.state.cursors.size).toBe(0);
  });

  test("jsc11 who left points nowhere, also when this page lagged meanwhile", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    const here = { ada: { metas: [{ phx_ref: "a", client_id: ada.clientId }] } };
    const ben = (ref: string) => ({ ben: { metas: [{ phx_ref: ref, client_id: "ben" }] } });
    desk.server.broadcast("presence_state", { ...here, ...ben("b") });
    desk.server.broadcast("cursors", { ben: { x: 1, y: 2 }, eve: { x: 0, y: 0 } });
    await desk.pass(10);
    expect([...ada.state.cursors.keys()]).toEqual(["ben", "eve"]);
    desk.server.broadcast("presence_state", here);
    desk.server.broadcast("presence_diff", { joins: ben("c"), leaves: {} });
    await desk.pass(10);
    expect(ada.state.members.map(({ clientId }) => clientId)).toEqual([ada.clientId, "ben"]);
    expect([...ada.state.cursors.keys()]).toEqual(["eve"]); // whose coming is told in a moment
  });
});

describe("the state", () => {
  test("jsc12 a state stays what it was, and what didn't change is the very same", async () => {
    const desk = new Desk();
    desk.server.edit({ nodes: { n1: NODE, n2: node("n2") } });
    const ada = await desk.join();
    const before = ada.state;
    let calls = 0;
    ada.subscribe(() => (calls += 1));
    expect(ada.state).toBe(before);
    ada.patch({ nodes: { n1: { position: { x: 1 } } } });
    expect(calls).toBe(1);
    expect(before.document?.nodes["n1"]?.position.x).toBe(0);
    expect(ada.state.document?.nodes["n2"]).toBe(before.document?.nodes["n2"]);
    const shown = ada.state.document;
    await desk.until(() => ada.state.status.kind === "saved");
    expect(ada.state.document).toBe(shown);
  });

  test("jsc6 stop leaves, and start goes on", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    ada.stop();
    expect(ada.state.status.kind).toBe("closed");
    await desk.until(() => desk.server.memberIds.length === 0);
    ada.patch({ title: "meanwhile" });
    ada.start();
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document.title).toBe("meanwhile");
  });
});
