import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import type { FlowEvent, UnsentEvent } from "../../src/types";
import { Unsent } from "../../src/sync/unsent";
import { Browser } from "../browser";
import { Desk, NODE, standing } from "../desk";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.clearAllTimers();
  vi.useRealTimers();
});

const VIEWER = { role: "viewer", may: ["read"] };
const EDITOR = { role: "editor", may: ["read", "comment", "propose", "edit"] };

describe("what one may do", () => {
  test("acc60 the answer to the join says it, and role afterwards", async () => {
    const desk = new Desk();
    desk.server.rights = { ...EDITOR, paths: ["/title"] };
    const ada = await desk.join();
    expect(ada.state).toMatchObject({ ...EDITOR, paths: ["/title"] });
    desk.server.grant(VIEWER);
    await desk.until(() => ada.state.role === "viewer");
    expect(ada.state).toMatchObject({ ...VIEWER, paths: null });
  });

  test("acc60 a server that lists no rights grants those of the role; nothing is known before the join", async () => {
    const desk = new Desk();
    const ada = desk.open();
    expect(ada.state).toMatchObject({ role: null, may: null, paths: null });
    await desk.until(() => ada.state.status.kind === "saved");
    expect(ada.state).toMatchObject({ ...EDITOR, paths: null });
  });

  test("acc64 a change that one may not make is refused at once, and never shown or sent", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    ada.patch({ title: "before" });
    await desk.until(() => ada.state.status.kind === "saved");
    desk.server.grant(VIEWER);
    await desk.until(() => ada.state.role === "viewer");
    const events: FlowEvent[] = [];
    ada.listen((event) => events.push(event));
    ada.patch({ title: "mine" });
    ada.gather("title", { title: "typed" });
    expect(ada.undo()).toBe(false);
    expect(ada.state).toMatchObject({ canUndo: false, document: { title: "before" }, status: { kind: "saved", unsent: 0 } });
    expect(events.map((event) => event.type === "refused" && event.refusal.code)).toEqual(Array(3).fill("forbidden"));
    await desk.pass(2000);
    expect(desk.sent).toHaveLength(1);
  });

  test("acc64 a change outside one's paths is refused at once with its place", async () => {
    const desk = new Desk();
    desk.server.edit({ nodes: { n1: NODE } });
    desk.server.rights = { ...EDITOR, paths: ["/nodes/*/data/**"] };
    const ada = await desk.join();
    // What changes nothing doesn't count.
    ada.patch({ title: "", nodes: { n1: { data: { label: "A" }, position: { x: 0 } } } });
    ada.patch({ nodes: { n1: { position: { x: 5 } } } });
    expect(ada.state.refusals).toMatchObject([{ code: "forbidden_path", reason: expect.stringMatching(/^\/nodes\/n1\/position\/x: /) as string }]);
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document.nodes["n1"]).toMatchObject({ data: { label: "A" }, position: { x: 0 } });
  });

  test("acc64 the first content of an empty flow isn't made by who may not", async () => {
    const desk = new Desk();
    desk.server.rights = VIEWER;
    const ada = await desk.join({ initial: { title: "First" } });
    await desk.pass(1000);
    expect([ada.state.document?.title, ada.state.refusals, desk.sent]).toEqual(["", [], []]);
  });
});

describe("the right to edit goes", () => {
  test("acc63 waiting changes are kept and shown as held back, and sent when it comes back", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    desk.network.delay = () => 50;
    desk.server.rights = VIEWER;
    ada.patch({ title: "mine" });
    ada.patch({ description: "mine" });
    await desk.until(() => ada.state.status.kind === "held");
    expect(standing(ada.state.status)).toEqual(["held", 2, "forbidden"]);
    expect(ada.state).toMatchObject({ document: { title: "mine" }, refusals: [] });
    desk.server.grant(VIEWER);
    await desk.pass(60_000);
    const asked = desk.sent.length;
    await desk.pass(60_000);
    expect(desk.sent).toHaveLength(asked);
    desk.server.grant(EDITOR);
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document).toMatchObject({ title: "mine", description: "mine" });
    expect(desk.server.log.map(({ op_id }) => op_id)).toEqual([1, 2]);
  });

  test("acc63 a refusal before the role comes holds back, too, and is tried again", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    desk.server.rights = VIEWER;
    ada.patch({ title: "mine" });
    await desk.until(() => ada.state.status.kind === "held");
    desk.server.rights = EDITOR;
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document.title).toBe("mine");
    ada.patch({ title: "more" });
    expect(ada.state.status.kind).toBe("saving");
  });

  test("acc63 what was changed offline is held back if one may not make it any more, also on later visits", async () => {
    const desk = new Desk();
    const browser = new Browser();
    const ada = await desk.join({ keeper: browser.page() });
    desk.network.isUp = false;
    desk.network.cut();
    ada.patch({ title: "offline" });
    ada.stop();
    desk.server.rights = VIEWER;
    desk.network.isUp = true;
    const later = desk.open({ keeper: browser.page() });
    await desk.until(() => later.state.status.kind === "held");
    expect(later.state).toMatchObject({ document: { title: "offline" }, status: { unsent: 1 } });
    const { connects } = desk.network;
    await desk.pass(70_000);
    expect([desk.sent, desk.network.connects]).toEqual([[], connects]);
    desk.server.grant(EDITOR);
    await desk.until(() => later.state.status.kind === "saved");
    expect(desk.server.document.title).toBe("offline");
  });

  test("acc65 held changes can be taken as a copy, and given up", async () => {
    const browser = new Browser();
    const keeper = browser.page();
    const desk = new Desk(keeper);
    const ada = await desk.join();
    expect(ada.copyOfUnsent()).toBeNull();
    desk.server.grant(VIEWER);
    ada.patch({ title: "mine" });
    await desk.until(() => ada.state.status.kind === "held");
    expect(ada.copyOfUnsent()).toMatchObject({ title: "mine" });
    ada.discardUnsent();
    expect(ada.state).toMatchObject({ document: { title: "" }, status: { kind: "saved", unsent: 0 } });
    expect((await keeper.load("demo")).operations).toEqual([]);
    desk.server.grant(EDITOR);
    await desk.until(() => ada.state.role === "editor");
    ada.patch({ title: "new" });
    // What is on its way isn't given up.
    ada.discardUnsent();
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document.title).toBe("new");
  });

  test("acc68 changes of a flow that no page has open are listed with the reason, and stay", async () => {
    const browser = new Browser();
    const keeper = browser.page();
    const desk = new Desk();
    const ada = await desk.join({ keeper });
    desk.network.cut();
    ada.patch({ title: "offline" });
    ada.stop();
    desk.server.rights = VIEWER;
    const unsent = new Unsent({ url: "http://helix.test", keeper: browser.page(), webSocket: desk.network.webSocket, random: Math.random });
    const events: UnsentEvent[] = [];
    unsent.listen((event) => events.push(event));
    unsent.start();
    const begun = Date.now();
    await desk.until(() => (unsent.flows[0]?.error ?? null) !== null);
    expect(Date.now() - begun).toBeLessThan(5000);
    unsent.stop();
    expect(unsent.flows).toMatchObject([{ flowId: "demo", count: 1, error: { code: "forbidden" } }]);
    expect([events, desk.sent]).toEqual([[], []]);
  });
});

describe("the flow can't be seen any more", () => {
  test.each(["revoked", "refused"])("acc62 %s: the page asks no more, and keeps what is unsent, until retryNow", async (how) => {
    const desk = new Desk();
    const ada = await desk.join();
    desk.network.delay = () => 50;
    ada.patch({ title: "mine" });
    if (how === "revoked") {
      desk.server.revoke();
    } else {
      desk.server.joinMood = () => ({ reason: "There is no such flow", code: "flow_not_found", retry: false, close: true });
      desk.network.cut();
    }
    await desk.until(() => ada.state.status.kind === "closed");
    expect(standing(ada.state.status)).toEqual(["closed", 1, how === "revoked" ? "access_revoked" : "flow_not_found"]);
    expect(ada.state).toMatchObject({ role: null, may: [] });
    expect(ada.copyOfUnsent()).toMatchObject({ title: "mine" });
    ada.patch({ title: "more" });
    expect(ada.state.document?.title).toBe("mine");
    expect(ada.state.refusals.map(({ code }) => code)).toEqual([ada.state.status.error?.code]);
    const { connects } = desk.network;
    await desk.pass(600_000);
    expect(desk.network.connects).toBe(connects);
    desk.server.joinMood = () => null;
    ada.retryNow();
    await desk.until(() => ada.state.status.kind === "saved");
    expect([desk.server.document.title, ada.state.role]).toEqual(["mine", "editor"]);
  });
});

describe("tokens", () => {
  test("acc61 a token that ends is renewed on the open connection", async () => {
    const desk = new Desk();
    let count = 0;
    const ada = await desk.join({ token: () => Promise.resolve(`token${(count += 1)}`) });
    desk.server.broadcast("token_expiring", { expires_at: 1_790_003_600 });
    await desk.until(() => desk.server.heardEvents("access_token").length > 0);
    expect(desk.server.heardEvents("access_token")).toEqual([{ access_token: "token2" }]);
    await desk.pass(5000);
    expect([desk.network.connects, ada.state.status.kind]).toEqual([1, "saved"]);
  });

  test("acc61 without a function, or if that fails, nothing is pushed", async () => {
    const desk = new Desk();
    const error = vi.spyOn(console, "error").mockReturnValue();
    let fails = false;
    await desk.join({ token: "fixed" });
    await desk.join({ token: () => (fails ? Promise.reject(new Error("away")) : "token") });
    fails = true;
    desk.server.broadcast("token_expiring", { expires_at: 1_790_003_600 });
    await desk.pass(5000);
    expect(desk.server.heardEvents("access_token")).toEqual([]);
    expect(error).toHaveBeenCalledOnce();
    error.mockRestore();
  });

  test("acc61 after the end of a token the page connects with a new one", async () => {
    const desk = new Desk();
    let count = 0;
    const ada = await desk.join({ token: () => `token${(count += 1)}` });
    desk.server.close(4401);
    expect(count).toBe(1);
    await desk.until(() => ada.state.status.kind === "offline");
    await desk.until(() => ada.state.status.kind === "saved");
    expect([count, desk.network.connects]).toEqual([2, 2]);
  });

  test("acc61 with the token of another person the page connects anew", async () => {
    const desk = new Desk();
    const given = ["ada's", "ben's"];
    const ada = await desk.join({ token: () => given.shift() ?? "ben's" });
    desk.server.tokenMood = () => ({ reason: "Another person", code: "forbidden", retry: false });
    desk.server.broadcast("token_expiring", { expires_at: 1_790_003_600 });
    await desk.until(() => desk.network.connects === 2 && ada.state.status.kind === "saved");
  });

  test("acc61 the same token again isn't shown again: its end would be announced again", async () => {
    const desk = new Desk();
    const asked = vi.fn(() => "the only one");
    await desk.join({ token: asked });
    desk.server.broadcast("token_expiring", { expires_at: 1_790_003_600 });
    await desk.until(() => asked.mock.calls.length === 2);
    await desk.pass(100);
    expect(desk.server.heardEvents("access_token")).toEqual([]);
  });

  test("acc218 who has no token connects without one, and later with the one that there is then", async () => {
    const desk = new Desk();
    const given = [null, "a?~"];
    const ada = await desk.join({ token: () => Promise.resolve(given.shift() ?? null) });
    expect(desk.network.asked.protocols).toBeUndefined();
    desk.server.broadcast("token_expiring", { expires_at: 1_790_003_600 });
    await desk.until(() => desk.server.heardEvents("access_token").length > 0);
    expect(desk.server.heardEvents("access_token")).toEqual([{ access_token: "a?~" }]);
    given.push("a?~");
    desk.server.close(4401);
    await desk.until(() => ada.state.status.kind === "offline");
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.network.asked.protocols).toEqual(["phoenix", "base64url.bearer.phx.YT9+"]);
  });

  test("acc213 a server below a path is asked there", async () => {
    const desk = new Desk();
    await desk.join({ url: "https://helix.test/some/helix/" });
    expect(desk.network.asked.url.split("?")[0]).toBe("wss://helix.test/some/helix/socket/websocket");
  });
});
