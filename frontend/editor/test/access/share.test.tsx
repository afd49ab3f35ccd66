// @vitest-environment jsdom
import { act } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { rootsOfTests } from "../../../client/test/roots";
import { IdentityProvider } from "../../src/access/identity";
import type { FlowAccess } from "../../src/api";
import { show, standIn } from "../page";
import { type Answer, Backend, refusal } from "./backend";

const roots = rootsOfTests();
const ME = { id: "ada", name: "Ada", color: "", kind: "person" as const, may_create: true };
const NARROW = { role: "editor" as const, paths: ["/nodes/*/data/prompt"], tags: { source: "ai" } };
const GIVEN: FlowAccess = {
  owner: "ada",
  members: { ben: "editor", carol: NARROW },
  groups: { sales: "viewer" },
  general: { who: "restricted", role: null },
};
const SHORT = { id: "l1", role: "viewer", created_at: 0, created_by: "ada", expires_at: Date.now() / 1_000 + 86_400 * 6.9, has_password: true };

let backend: Backend;

beforeEach(() => {
  standIn();
  // What is in a closed dialog can't have the focus.
  HTMLDialogElement.prototype.showModal = function (this: HTMLDialogElement) { this.open = true; };
  backend = new Backend();
});

afterEach(() => {
  vi.restoreAllMocks();
  document.body.replaceChildren();
});

const settled = (): Promise<void> => act(async () => { await vi.advanceTimersByTimeAsync(30); });

async function dialog(): Promise<typeof import("../../src/flow/sharing/ShareDialog").default> {
  return (await import("../../src/flow/sharing/ShareDialog")).default;
}

async function open(given: FlowAccess = GIVEN, links: object[] = [SHORT], members: object[] = []): Promise<HTMLElement> {
  backend.answers.set("GET /flows/f/access", { body: given, headers: { ETag: '"1"' } }).set("GET /flows/f/links", { body: { links } });
  const ShareDialog = await dialog();
  const page = show(roots, (
    <IdentityProvider value={{ me: ME, guest: null }}>
      <ShareDialog flowId="f" title="Plan" members={members as never} onClose={() => undefined} />
    </IdentityProvider>
  ));
  await settled();
  return page;
}

/** Answer changes of access: with what they make, or a refusal. */
function changes(answer: Answer | FlowAccess): void {
  backend.answers.set("PATCH /flows/f/access", "owner" in answer ? { body: answer, headers: { ETag: '"2"' } } : answer);
}

const sent = (): unknown[] => backend.heard("PATCH /flows/f/access").map(({ body, headers }) => [body, headers.get("If-Match")]);
const labelled = (page: HTMLElement, name: string): HTMLElement => page.querySelector<HTMLElement>(`[aria-label="${name}"]`) as HTMLElement;
const button = (page: HTMLElement, name: string): HTMLButtonElement =>
  [...page.querySelectorAll("button")].find((one) => one.textContent.trim() === name || one.getAttribute("aria-label") === name) as HTMLButtonElement;
const rows = (page: HTMLElement, list = "Who has access"): string[] => [...labelled(page, list).querySelectorAll(".grant .who")].map((one) => one.textContent);
const alerts = (page: HTMLElement): string[] => [...page.querySelectorAll("[role=alert]")].map((one) => one.textContent);

async function choose(page: HTMLElement, name: string, value: string): Promise<void> {
  const select = labelled(page, name) as HTMLSelectElement;
  act(() => {
    select.value = value;
    select.dispatchEvent(new Event("change", { bubbles: true }));
  });
  await settled();
}

async function press(page: HTMLElement, name: string): Promise<void> {
  act(() => { button(page, name).click(); });
  await settled();
}

async function write(page: HTMLElement, name: string, text: string): Promise<void> {
  const field = labelled(page, name) as HTMLInputElement;
  act(() => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")?.set?.call(field, text);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
  await settled();
}

test("acc189 the owner, people and groups are listed, and what a grant is narrowed to", async () => {
  const page = await open();
  expect(rows(page)).toEqual([
    "ada (you)", "ben", "carolMay change only /nodes/*/data/promptMarked source: ai", "salesGroup",
  ]);
  expect((labelled(page, "Role of sales") as HTMLSelectElement).value).toBe("viewer");
  expect(page.querySelector("[aria-label='Role of ada']")).toBeNull();
});

test("acc189 somebody is added, once", async () => {
  const page = await open();
  changes({ ...GIVEN, members: { ...GIVEN.members, dan: "viewer" } });
  await write(page, "Id of a person", " dan ");
  await choose(page, "Their role", "viewer");
  await press(page, "Add");
  expect(sent()).toEqual([[{ members: { dan: "viewer" } }, '"1"']]);
  expect(rows(page)).toContain("dan");
  expect([(labelled(page, "Id of a person") as HTMLInputElement).value, document.activeElement === labelled(page, "Id of a person")]).toEqual(["", true]);
  for (const known of ["ada", "dan"]) {
    await write(page, "Id of a person", known);
    await press(page, "Add");
    expect(alerts(page)).toEqual([`${known} is already in the list.`]);
  }
  expect(sent()).toHaveLength(1);
});

test("acc189 groups are added by their names, which objects have, too", async () => {
  const page = await open();
  changes(GIVEN);
  await choose(page, "What to add", "groups");
  await write(page, "Name of a group", "toString");
  await press(page, "Add");
  expect(sent()).toEqual([[{ groups: { toString: "editor" } }, '"1"']]);
});

test("acc190 another role keeps what a grant is narrowed to", async () => {
  const page = await open();
  changes({ ...GIVEN, members: { ben: "viewer", carol: { ...NARROW, role: "viewer" } } });
  await choose(page, "Role of carol", "viewer");
  await choose(page, "Role of ben", "viewer");
  expect(sent()).toEqual([[{ members: { carol: { role: "viewer" } } }, '"1"'], [{ members: { ben: "viewer" } }, '"2"']]);
  expect((labelled(page, "Role of carol") as HTMLSelectElement).value).toBe("viewer");
});

test("acc189 who is removed is gone once the server says so, and the focus stays in the list", async () => {
  const page = await open();
  changes({ ...GIVEN, members: { carol: NARROW } });
  await press(page, "Remove ben");
  expect(sent()).toEqual([[{ members: { ben: null } }, '"1"']]);
  expect([rows(page).includes("ben"), document.activeElement === labelled(page, "Who has access")]).toEqual([false, true]);
});

test("acc189 the flow is handed over after a question, in one request", async () => {
  const page = await open();
  changes({ ...GIVEN, owner: "ben", members: { ada: "editor", carol: NARROW } });
  await press(page, "Make ben the owner");
  expect(page.textContent).toContain("Make ben the owner?");
  await press(page, "Cancel");
  expect(sent()).toEqual([]);
  await press(page, "Make ben the owner");
  await press(page, "Make them the owner");
  expect(sent()).toEqual([[{ owner: "ben", members: { ben: null, ada: "editor" } }, '"1"']]);
  expect(rows(page)[0]).toBe("ben");
});

test("acc191 a refusal is told where it happened, and nothing is shown as done", async () => {
  const page = await open();
  changes(refusal(403, "forbidden", "You may not share this flow"));
  await choose(page, "Role of ben", "owner");
  const section = labelled(page, "People and groups");
  expect(alerts(section)).toEqual(["You may not share this flow"]);
  expect((labelled(page, "Role of ben") as HTMLSelectElement).value).toBe("editor");
  await press(page, "Remove ben");
  expect(rows(page)).toContain("ben");
  await choose(page, "Who has general access", "link");
  expect([alerts(section), alerts(page)]).toEqual([[], ["You may not share this flow"]]);
  expect((labelled(page, "Who has general access") as HTMLSelectElement).value).toBe("restricted");
});

test("acc191 another owner's change is loaded and told of, and not overwritten", async () => {
  const page = await open();
  changes(refusal(412, "precondition_failed"));
  backend.answers.set("GET /flows/f/access", { body: { ...GIVEN, members: { zoe: "editor" } }, headers: { ETag: '"9"' } });
  await press(page, "Remove ben");
  expect(alerts(page)[0]).toContain("Somebody else has changed who may do what");
  expect(rows(page)).toEqual(["ada (you)", "zoe", "salesGroup"]);
  changes(GIVEN);
  await press(page, "Remove zoe");
  expect(sent().at(-1)).toEqual([{ members: { zoe: null } }, '"9"']);
  expect(alerts(page)).toEqual([]);
});

test("acc191 what can't be loaded is told", async () => {
  const page = await open();
  expect(alerts(page)).toEqual([]);
  document.body.replaceChildren();
  backend.answers.set("GET /flows/f/access", refusal(503, "store_unavailable", "The store is away"));
  const ShareDialog = await dialog();
  const another = show(roots, <ShareDialog flowId="f" title="" members={[]} onClose={() => undefined} />);
  await settled();
  expect(alerts(another)).toEqual(["The store is away"]);
});

test("acc192 general access: for whom, and with which role", async () => {
  const page = await open();
  changes({ ...GIVEN, general: { who: "signed-in", role: "viewer" } });
  await choose(page, "Who has general access", "signed-in");
  changes({ ...GIVEN, general: { who: "signed-in", role: "editor" } });
  await choose(page, "Their role in general", "editor");
  changes(GIVEN);
  await choose(page, "Who has general access", "restricted");
  expect(sent().map((one) => (one as unknown[])[0])).toEqual([
    { general: { who: "signed-in", role: "viewer" } },
    { general: { role: "editor" } },
    { general: { who: "restricted", role: null } },
  ]);
  expect([...labelled(page, "Their role").querySelectorAll("option")].map((one) => one.value)).toContain("owner");
  expect(page.querySelector("[aria-label='Their role in general']")).toBeNull();
});

test("acc193 a link is made with a role, an end and a password; its address is shown once", async () => {
  const page = await open(GIVEN, []);
  const made = { ...SHORT, id: "l2", role: "editor", expires_at: null };
  backend.answers.set("POST /flows/f/links", { status: 201, body: { ...made, secret: "l2.s", path: "/flow/f#link=l2.s" } });
  backend.answers.set("GET /flows/f/links", { body: { links: [made] } });
  await choose(page, "Role of who comes by the link", "editor");
  await choose(page, "How long the link holds", "3");
  await write(page, "Password of the link, if it is to have one", "sesame");
  await press(page, "Create a link");
  expect(backend.heard("POST /flows/f/links")[0]?.body).toEqual({ role: "editor", password: "sesame" });
  expect((labelled(page, "Address of the new link") as HTMLInputElement).value).toBe(`${location.origin}/flow/f#link=l2.s`);
  expect(page.textContent).toContain("It isn't shown again.");
  expect(rows(page, "Links")).toEqual(["EditorHolds for ever · by ada"]);
  const copied = vi.fn(() => Promise.resolve());
  vi.stubGlobal("navigator", { clipboard: { writeText: copied } });
  await press(page, "Copy");
  expect(copied).toHaveBeenCalledWith(`${location.origin}/flow/f#link=l2.s`);
  expect(page.textContent).toContain("Copied.");
  expect((labelled(page, "Password of the link, if it is to have one") as HTMLInputElement).value).toBe("");
});

test.each([["0", 86_400], ["1", 604_800], ["2", 2_592_000]])("acc193 a link may end by itself: choice %s", async (choice, seconds) => {
  const page = await open();
  backend.answers.set("POST /flows/f/links", refusal(409, "too_many_grants", "The flow has as many links as it may"));
  await choose(page, "How long the link holds", choice);
  await press(page, "Create a link");
  expect(backend.heard("POST /flows/f/links")[0]?.body).toEqual({ role: "viewer", expires_in: seconds });
  expect(alerts(page)).toEqual(["The flow has as many links as it may"]);
  expect(page.querySelector(".made")).toBeNull();
});

test("acc193 links are listed with role, end and password mark, and revoked after a question", async () => {
  const page = await open();
  expect(rows(page, "Links")).toEqual(["ViewerExpires in 7 days · by ada"]);
  expect(labelled(page, "Links").textContent).toContain("Has a password");
  backend.answers.set("DELETE /flows/f/links/l1", { status: 204 });
  await press(page, "Revoke the link: Viewer, Expires in 7 days · by ada");
  expect(backend.heard("DELETE /flows/f/links/l1")).toHaveLength(0);
  await press(page, "Revoke");
  expect(backend.heard("DELETE /flows/f/links/l1")).toHaveLength(1);
  expect([rows(page, "Links"), document.activeElement === labelled(page, "Links")]).toEqual([[], true]);
});

test("acc193 a link that couldn't be revoked stays, and that is told", async () => {
  const page = await open();
  backend.answers.set("DELETE /flows/f/links/l1", refusal(503, "store_unavailable", "The store is away"));
  await press(page, "Revoke the link: Viewer, Expires in 7 days · by ada");
  await press(page, "Revoke");
  expect([rows(page, "Links").length, alerts(page)]).toEqual([1, ["The store is away"]]);
});

test("acc194 who is here now is shown, and who of them is a guest", async () => {
  const member = (key: string, name: string, more: object): object => ({ clientId: key, key, name, color: "#0f766e", isSelf: false, meta: {}, ...more });
  const page = await open(GIVEN, [], [
    member("ada", "Ada Lovelace", { isSelf: true }), member("ben", "Ben", {}), member("guest:1", "Teal Heron", { meta: { guest: true } }),
  ]);
  expect([...labelled(page, "Here now").querySelectorAll("li")].map((one) => one.textContent)).toEqual(["BBen", "THTeal HeronGuest", "ALAda Lovelace (you)"]);
  expect(rows(page)[0]).toBe("Ada Lovelace (you)ada");
});
