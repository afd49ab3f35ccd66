/** Why there is no connection, as a page can find out. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { BLOCKED, NO_HELIX, UNREACHABLE } from "../../src/model/errors";
import { examine } from "../../src/sync/cause";
import { Membership, type MembershipOptions } from "../../src/sync/membership";
import type { FlowError } from "../../src/types";
import { Desk } from "../desk";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.clearAllTimers();
  vi.useRealTimers();
});

type Answer = { body: string; status?: number; type?: string } | "nothing";

/** Have what a server answers stand in for the network. */
function stub(check: Answer, root: Answer = "nothing"): RequestInfo[] {
  const asked: RequestInfo[] = [];
  vi.stubGlobal("fetch", (address: string, { body }: RequestInit = {}) => {
    asked.push(`${address} ${typeof body === "string" ? body : ""}`);
    const answer = address.endsWith("/socket/check") ? check : root;
    if (answer === "nothing") {
      return Promise.reject(new TypeError("Failed to fetch"));
    }
    const { status = 200, type = "application/json" } = answer;
    return Promise.resolve(new Response(answer.body, { status, headers: { "content-type": type } }));
  });
  return asked;
}

const REFUSED = { reason: "The Origin is not allowed", code: "origin_refused", retry: false };

describe("a connect that fails", () => {
  test.each<[string, Answer, Answer, FlowError | "admitted" | null]>([
    ["a server that admits it", { body: '{"admitted":true}' }, "nothing", "admitted"],
    [
      "a server that refuses it",
      { body: JSON.stringify({ admitted: false, refusal: REFUSED }) },
      "nothing",
      { reason: REFUSED.reason, code: "origin_refused" },
    ],
    ["a page in its place", { body: "<html>", type: "text/html" }, "nothing", NO_HELIX],
    ["no page in its place", { body: "", status: 404, type: "text/html" }, "nothing", NO_HELIX],
    ["other JSON", { body: "[]" }, "nothing", NO_HELIX],
    ["a server that lets no other page read it", "nothing", { body: "" }, NO_HELIX],
    ["nobody", "nothing", "nothing", null],
    ["a proxy without its server", { body: "", status: 502, type: "text/html" }, "nothing", null],
    ["an older server", { body: "{}", status: 404, type: "application/problem+json" }, "nothing", null],
  ])("jsc20 is explained by %s", async (_, check, root, finding) => {
    const asked = stub(check, root);
    expect(await examine("https://helix.test/base/", "secret")).toEqual(finding);
    expect(asked[0]).toBe('https://helix.test/base/socket/check {"token":"secret"}');
  });

  /** Somebody tries to join, and gets no connection. */
  function refused(
    desk: Desk,
    examined: MembershipOptions["examine"],
    token?: MembershipOptions["token"],
    webSocket: MembershipOptions["webSocket"] = desk.network.webSocket,
  ) {
    desk.network.isUp = false;
    const membership = new Membership(
      {
        url: "http://helix.test",
        topic: "flow:demo",
        webSocket,
        random: () => 0.75,
        examine: examined,
        token,
      },
      {
        parameters: () => ({ client_id: "ada" }),
        joined: () => undefined,
        received: () => undefined,
        moved: () => undefined,
      },
    );
    membership.start();
    return membership;
  }

  test("jsc20 is examined now and then, and what is found is told until there is a connection", async () => {
    const desk = new Desk();
    const examined = vi.fn(() => Promise.resolve<FlowError>(NO_HELIX));
    const ada = refused(desk, examined);
    await desk.pass(150);
    expect([ada.standing.failedAttempts > 1, ada.standing.error, examined.mock.calls.length]).toEqual([true, UNREACHABLE, 0]);
    await desk.pass(60_000);
    expect(ada.standing.error).toEqual(NO_HELIX);
    expect(examined.mock.calls.length).toBeGreaterThan(2);
    expect(examined.mock.calls.length).toBeLessThan(9);
    desk.network.isUp = true;
    ada.retryNow();
    await desk.until(() => ada.standing.kind === "joined");
    desk.network.isUp = false;
    desk.network.cut();
    await desk.pass(100);
    expect(ada.standing.error).not.toEqual(NO_HELIX);
    ada.stop();
  });

  test("jsc20 of whom the server admits is something on the way", async () => {
    const desk = new Desk();
    const examined = vi.fn(() => Promise.resolve("admitted" as const));
    const ada = refused(desk, examined);
    await desk.until(() => examined.mock.calls.length === 1);
    // It may just have come back.
    expect(ada.standing.error).toEqual(UNREACHABLE);
    await desk.until(() => examined.mock.calls.length === 2);
    expect(ada.standing.error).toEqual(BLOCKED);
    ada.stop();
  });

  /** What takes a connect and never answers it, as Vite's server does. */
  class Silent {
    readyState = 0;
    send(): void {
      return;
    }
    close(): void {
      this.readyState = 3;
    }
  }

  test.each<[string, FlowError | "admitted", FlowError | null]>([
    ["no server of ours", NO_HELIX, NO_HELIX],
    ["one that may be slow", "admitted", null],
  ])("jsc20 that is never answered is examined while it waits: %s", async (_, finding, error) => {
    const desk = new Desk();
    const examined = vi.fn(() => Promise.resolve(finding));
    const ada = refused(desk, examined, undefined, Silent);
    await desk.pass(2900);
    expect(examined).not.toHaveBeenCalled();
    await desk.pass(200);
    expect([examined.mock.calls.length, ada.standing.error]).toEqual([1, error]);
    // It is not blamed on what is between: it may just be slow, again.
    await desk.pass(40_000);
    expect(ada.standing.error).not.toEqual(BLOCKED);
    ada.stop();
    const calls = examined.mock.calls.length;
    await desk.pass(60_000);
    expect(examined.mock.calls.length).toBe(calls);
  });

  test("jsc20 that is given up in time is not examined", async () => {
    const desk = new Desk();
    const examined = vi.fn(() => Promise.resolve<FlowError>(NO_HELIX));
    const ada = refused(desk, examined, undefined, Silent);
    await desk.pass(2900);
    ada.stop();
    await desk.pass(60_000);
    expect(examined).not.toHaveBeenCalled();
  });

  test("jsc20 for want of a token is tried again", async () => {
    const desk = new Desk();
    let calls = 0;
    const token = vi.fn(() => {
      calls += 1;
      if (calls === 1) {
        throw new Error("not yet");
      }
      return calls === 2 ? Promise.reject(new Error("nor now")) : Promise.resolve("secret");
    });
    const examined = vi.fn(() => Promise.resolve(null));
    const ada = refused(desk, examined, token);
    expect(ada.standing.error?.reason).toContain("not yet");
    await desk.until(() => calls === 2);
    await desk.pass(1);
    expect(ada.standing.error?.reason).toContain("nor now");
    desk.network.isUp = true;
    await desk.until(() => ada.standing.kind === "joined");
    expect([calls, examined.mock.calls.length]).toEqual([3, 0]);
    ada.stop();
  });
});
