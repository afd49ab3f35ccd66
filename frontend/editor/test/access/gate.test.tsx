// @vitest-environment jsdom
import { act } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { rootsOfTests } from "../../../client/test/roots";
import { show, standIn } from "../page";
import { Backend, refusal } from "./backend";

const roots = rootsOfTests();
const LINK = "l".repeat(22) + "." + "s".repeat(43);
const INVITATION = { ["link"]: LINK, name: "Ada" };
const NO_WAYS = { tokens: true, header: false, oidc: null };
const OIDC = { ...NO_WAYS, oidc: { sign_in: "auth/sign-in", sign_out: "auth/sign-out" } };
const ADA = { id: "ada", name: "Ada", color: "", kind: "person", may_create: true };
const UNKNOWN = refusal(401, "unauthorized");
const GUEST = { status: 201, body: { token: "hg_1", expires_at: 4e9, flow_id: "f", role: "viewer", principal_id: "guest:1" } };

let backend: Backend;

beforeEach(() => {
  // Who it is, is known to a page as long as it is open.
  vi.resetModules();
  standIn();
  backend = new Backend();
  history.replaceState(null, "", "/flow/f");
});

afterEach(() => {
  vi.restoreAllMocks();
  document.body.replaceChildren();
  localStorage.clear();
  sessionStorage.clear();
});

/** Open a flow's page, whose flow tells with which token it comes. */
async function open(me: object, answers: Record<string, Parameters<Backend["answers"]["set"]>[1]> = {}, link?: string): Promise<HTMLElement> {
  backend.answers.set("GET /me", me).set("GET /auth", { body: NO_WAYS });
  for (const [route, answer] of Object.entries(answers)) {
    backend.answers.set(route, answer);
  }
  const [{ FlowGate }, { takeLink }, { useIdentity }, { credentials }] = await Promise.all([
    import("../../src/access/FlowGate"), import("../../src/access/guest"), import("../../src/access/identity"), import("../../src/credentials"),
  ]);
  if (link !== undefined) {
    history.replaceState(null, "", `/flow/f#link=${link}`);
    takeLink();
  }
  const Flow = () => {
    const { me: known, guest } = useIdentity();
    return <p id="flow" onClick={({ currentTarget }) => { void credentials.token().then((token) => { currentTarget.title = String(token); }); }}>{`${known?.id ?? "nobody"} ${guest === null ? "" : "as a guest"}`.trim()}</p>;
  };
  const page = show(roots, <FlowGate flowId="f"><Flow /></FlowGate>);
  await settled();
  return page;
}

const settled = (): Promise<void> => act(async () => { await vi.advanceTimersByTimeAsync(30); });
const flowIn = (page: HTMLElement): string | undefined => page.querySelector("#flow")?.textContent;
const button = (page: HTMLElement, name: string): HTMLElement | undefined =>
  [...page.querySelectorAll<HTMLElement>("button, a")].find((one) => one.textContent.trim() === name);

/** Write in a field, as somebody who types. */
function write(field: HTMLInputElement, text: string): void {
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")?.set?.call(field, text);
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

test("acc185 who isn't known is asked to sign in, at the address that the server gives, and comes back here", async () => {
  const page = await open(UNKNOWN, { "GET /auth": { body: OIDC } });
  expect(page.querySelector("h1")?.textContent).toBe("Sign in to open this flow");
  expect(button(page, "Sign in")?.getAttribute("href")).toBe("/auth/sign-in?to=%2Fflow%2Ff");
  expect(flowIn(page)).toBeUndefined();
});

test.each([
  [NO_WAYS, "application"],
  [{ ...NO_WAYS, tokens: false, header: true }, "A proxy in front of this server"],
  [{ ...NO_WAYS, header: true }, "at the address of the proxy"],
])("acc185 where pages can't sign in, they say what to do: %j", async (ways, said) => {
  const page = await open(UNKNOWN, { "GET /auth": { body: ways } });
  expect(page.textContent).toContain(said);
  expect(button(page, "Sign in")).toBeUndefined();
});

test("acc185 who has signed in elsewhere is let in", async () => {
  const page = await open(UNKNOWN);
  backend.answers.set("GET /me", { body: ADA });
  act(() => { button(page, "Try again")?.click(); });
  await settled();
  expect(flowIn(page)).toBe("ada");
});

test("acc185 a server that asks nobody, or that can't be reached, shows the flow", async () => {
  expect(flowIn(await open({ body: { ...ADA, id: "" } }))).toBe("nobody");
  vi.resetModules();
  expect(flowIn(await open(refusal(503, "draining")))).toBe("nobody");
});

test("acc196 a link lets its guest in, whose requests come with the guest's token", async () => {
  const page = await open(UNKNOWN, { "POST /guests": GUEST }, LINK);
  expect(flowIn(page)).toBe("nobody as a guest");
  expect((backend.heard("POST /guests")[0]?.body as { link: string }).link).toBe(LINK);
  act(() => { page.querySelector<HTMLElement>("#flow")?.click(); });
  await settled();
  expect(page.querySelector("#flow")?.getAttribute("title")).toBe("hg_1");
});

test("acc196 a link's password is asked for, and wrong ones are told", async () => {
  const page = await open(UNKNOWN, {
    "POST /guests": ({ body }) => ((body as { password?: string }).password === "sesame" ? GUEST : refusal(403, "password_refused")),
  }, LINK);
  const field = page.querySelector<HTMLInputElement>("input[type=password]") as HTMLInputElement;
  expect([page.querySelector("[role=alert]")?.textContent, document.activeElement === field]).toEqual(["", true]);
  for (const [password, said] of [["guess", "That isn't the password."], ["sesame", undefined]] as const) {
    act(() => { write(field, password); });
    act(() => { button(page, "Open the flow")?.click(); });
    await settled();
    expect(page.querySelector("[role=alert]")?.textContent).toBe(said);
  }
  expect(flowIn(page)).toBe("nobody as a guest");
});

test("acc196 too many guesses: how long to wait is told, and nothing is sent meanwhile", async () => {
  const page = await open(UNKNOWN, { "POST /guests": refusal(429, "rate_limited", "", { "Retry-After": "30" }) }, LINK);
  expect(page.querySelector("[role=alert]")?.textContent).toBe("Too many attempts. Try again in 30 seconds.");
  expect((button(page, "Try again") as HTMLButtonElement).disabled).toBe(true);
});

test("acc196 a link that is gone is told", async () => {
  const page = await open(UNKNOWN, { "POST /guests": refusal(404, "link_not_found", "There is no such link") }, LINK);
  expect(page.querySelector("h1")?.textContent).toBe("This link doesn't open the flow");
  expect(flowIn(page)).toBeUndefined();
});

test("acc198 a flow that is for anyone with its address lets guests in without a link", async () => {
  const page = await open(UNKNOWN, { "POST /guests": GUEST });
  expect([flowIn(page), backend.heard("POST /guests")[0]?.body]).toMatchObject(["nobody as a guest", { flow: "f" }]);
  vi.resetModules();
  sessionStorage.clear();
  expect((await open(UNKNOWN, { "POST /guests": refusal(404, "flow_not_found") })).querySelector("h1")?.textContent).toBe("Sign in to open this flow");
});

test("acc199 who may see the flow anyway comes as themselves, and others by the link, with their own name", async () => {
  const page = await open({ body: ADA }, { "GET /flows/f/status": {}, "POST /guests": GUEST }, LINK);
  expect([flowIn(page), backend.heard("POST /guests").length, sessionStorage.length]).toEqual(["ada", 0, 0]);
  vi.resetModules();
  const another = await open({ body: ADA }, { "GET /flows/f/status": refusal(404, "flow_not_found") }, LINK);
  expect([flowIn(another), backend.heard("POST /guests")[0]?.body]).toEqual(["ada as a guest", INVITATION]);
});

test("acc199 where everybody may do everything, a link is nothing", async () => {
  const page = await open({ body: { ...ADA, id: "" } }, { "POST /guests": GUEST }, LINK);
  expect([flowIn(page), backend.heard("POST /guests").length]).toEqual(["nobody", 0]);
});
