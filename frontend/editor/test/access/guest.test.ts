// @vitest-environment jsdom
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Guest, takeLink } from "../../src/access/guest";
import { Backend, refusal } from "./backend";

const LINK = "l".repeat(22) + "." + "s".repeat(43);

beforeEach(() => { vi.useFakeTimers({ now: 1_000_000_000 }); });

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  sessionStorage.clear();
  history.replaceState(null, "", "/");
});

/** Answers each guest, with a token that counts. */
function door(lasts = 3_600): Backend {
  const backend = new Backend();
  let count = 0;
  backend.answers.set("POST /guests", () => {
    count += 1;
    return { status: 201, body: { token: `hg_${count}`, expires_at: Date.now() / 1_000 + lasts, flow_id: "f", role: "viewer", principal_id: "guest:1" } };
  });
  return backend;
}

test("acc195 the secret of a link leaves the address at once, and stays in this tab alone", () => {
  history.replaceState(null, "", `/flow/f?x=1#link=${LINK}`);
  const entries = history.length;
  takeLink();
  expect([location.hash, location.pathname + location.search, history.length]).toEqual(["", "/flow/f?x=1", entries]);
  expect(Guest.of("f", "Ada")?.hasLink).toBe(true);
  expect(JSON.stringify(Object.entries(localStorage))).not.toContain("sss");
  expect(JSON.stringify(Object.entries(sessionStorage))).toContain(LINK);
  expect(Guest.of("g", "Ada")).toBeNull();
});

test("acc195 another fragment stays", () => {
  history.replaceState(null, "", "/flow/f#part");
  takeLink();
  expect(location.hash).toBe("#part");
  history.replaceState(null, "", `/#link=${LINK}`);
  takeLink();
  expect(location.hash).toBe(`#link=${LINK}`);
});

test("acc196 acc197 a guest comes in once, and again as the same one before the token is over", async () => {
  const backend = door();
  const guest = new Guest("f", "Teal Heron", { link: LINK });
  expect(await Promise.all([guest.token(), guest.token()])).toEqual(["hg_1", "hg_1"]);
  const [first] = backend.heard("POST /guests");
  expect([first?.body, first?.headers.get("Authorization")]).toEqual([{ link: LINK, name: "Teal Heron" }, null]);
  vi.advanceTimersByTime(3_500_000);
  expect(await guest.token()).toBe("hg_1");
  vi.advanceTimersByTime(40_000);
  expect(await guest.token()).toBe("hg_2");
  expect(backend.heard("POST /guests")[1]?.headers.get("Authorization")).toBe("Bearer hg_1");
  // A page that is loaded again is the same guest, too.
  expect(await Guest.of("f", "Teal Heron")?.token()).toBe("hg_2");
  expect(backend.heard("POST /guests")).toHaveLength(2);
});

test("acc197 a token that is no good any more keeps nobody out", async () => {
  const backend = door();
  const guest = new Guest("f", "Ada", { link: LINK, token: "hg_old" });
  const come = backend.answers.get("POST /guests");
  backend.answers.set("POST /guests", (asked) =>
    asked.headers.has("Authorization") ? refusal(401, "unauthorized") : (come as () => ReturnType<typeof refusal>)());
  expect(await guest.token()).toBe("hg_1");
});

test("acc197 a token that ends with its link is asked for once more, and not again and again", async () => {
  const backend = door();
  const guest = new Guest("f", "Ada", { link: LINK });
  const end = Date.now() / 1_000 + 62;
  let count = 0;
  backend.answers.set("POST /guests", () => {
    count += 1;
    return { status: 201, body: { token: `hg_${count}`, expires_at: end } };
  });
  for (let time = 0; time < 5; time += 1) {
    expect(await guest.token()).toBe("hg_1");
  }
  expect(count).toBe(2);
  vi.advanceTimersByTime(62_000);
  backend.answers.set("POST /guests", refusal(404, "link_not_found"));
  await expect(guest.token()).rejects.toThrow();
});

test("acc196 a password is asked for, kept in memory alone, and sent again for a new token", async () => {
  const backend = door();
  const come = backend.answers.get("POST /guests") as () => ReturnType<typeof refusal>;
  backend.answers.set("POST /guests", (asked) =>
    (asked.body as { password?: string }).password === "open sesame" ? come() : refusal(403, "password_refused"));
  const guest = new Guest("f", "Ada", { link: LINK });
  await expect(guest.token()).rejects.toThrow();
  expect(guest.trouble).toEqual({ kind: "password", wasWrong: false });
  await expect(guest.tryPassword("wrong")).rejects.toThrow();
  expect(guest.trouble).toEqual({ kind: "password", wasWrong: true });
  await guest.tryPassword("open sesame");
  expect(guest.trouble).toBeNull();
  expect(JSON.stringify(Object.entries(sessionStorage))).not.toContain("sesame");
  await guest.again();
  expect(backend.heard("POST /guests").at(-1)?.body).toEqual({ link: LINK, password: "open sesame", name: "Ada" });
});

test("acc196 how long to wait is known, and a link that is gone is told from a server that is away", async () => {
  const backend = door();
  const guest = new Guest("f", "Ada", { link: LINK });
  backend.answers.set("POST /guests", refusal(429, "rate_limited", "Slow down", { "Retry-After": "30" }));
  await expect(guest.token()).rejects.toThrow();
  expect(guest.trouble).toEqual({ kind: "wait", until: Date.now() + 30_000, needsPassword: false });
  backend.answers.set("POST /guests", refusal(404, "link_not_found", "There is no such link"));
  await expect(guest.token()).rejects.toThrow();
  expect(guest.trouble).toEqual({ kind: "refused", reason: "There is no such link" });
  const another = new Guest("f", "Ada", { link: LINK });
  backend.answers.set("POST /guests", refusal(503, "store_unavailable"));
  await expect(another.token()).rejects.toThrow();
  expect(another.trouble).toBeNull();
});

test("acc200 a guest's new name is said to the server; one that it refuses isn't kept", async () => {
  const backend = door();
  const guest = new Guest("f", "Teal Heron", { link: LINK });
  await guest.token();
  await guest.rename("Ada");
  expect(backend.heard("POST /guests").at(-1)?.body).toEqual({ link: LINK, name: "Ada" });
  const come = backend.answers.get("POST /guests");
  backend.answers.set("POST /guests", refusal(400, "invalid_parameters"));
  await expect(guest.rename("x".repeat(9_999))).rejects.toThrow();
  backend.answers.set("POST /guests", come ?? {});
  await guest.again();
  expect(backend.heard("POST /guests").at(-1)?.body).toEqual({ link: LINK, name: "Ada" });
});

test("acc198 without a link, a guest comes by the flow's address", async () => {
  const backend = door();
  const guest = new Guest("f", "Ada");
  expect([guest.hasLink, await guest.token()]).toEqual([false, "hg_1"]);
  expect(backend.heard("POST /guests")[0]?.body).toEqual({ flow: "f", name: "Ada" });
});
