/** The client of the daemon's REST API. */

import { type Actor, authorOf, type FlowDocument, type FlowEntry, type JsonObject } from "helix-flows";

import { credentials, isGuest } from "./credentials";
import { thePerson } from "./person";
import { told } from "./told";

/** A flow, as lists have it. */
export interface ListedFlow {
  id: string;
  title: string;
  version: number;
  node_count: number;
  edge_count: number;
  updated_at: number;
  /** This person's role in it, and what they may do with it, where the server asks who people are. */
  role?: string | null;
  may?: readonly string[];
}

/** Tell whether this person may do something with a flow. */
export const may = (flow: ListedFlow, right: "edit" | "manage"): boolean => flow.may?.includes(right) ?? true;

/** Flows, the most recently changed first. */
export interface FlowList {
  flows: ListedFlow[];
  /** There are more than these. */
  hasMore: boolean;
}

/** A flow with its document. */
export interface WholeFlow {
  id: string;
  version: number;
  document: FlowDocument;
}

/** A template, as lists have it. */
export interface ListedTemplate {
  id: string;
  name: string;
  category: string;
  description: string;
}

/** A version that somebody gave a name. */
export interface NamedVersion {
  version: number;
  name: string;
  by: string;
  /** Unix seconds. */
  at: number;
  /** Who that is, and what they marked it with: as those of an entry. */
  actor?: Actor;
  tags?: JsonObject;
}

/** Who makes the requests of this page. */
export interface Me {
  /** Empty where the server doesn't know. */
  id: string;
  /** What others see; empty if nobody has said. */
  name: string;
  color: string;
  kind: "person" | "service" | "guest";
  /** Whether they may make flows whose ids the server makes. */
  may_create: boolean;
}

/** How clients may show who they are. */
export interface Ways {
  /** By tokens, which another application gives. */
  tokens: boolean;
  /** By a proxy that names them. */
  header: boolean;
  /** By signing in at these addresses, which are relative to the editor's. */
  oidc: { sign_in: string; sign_out: string } | null;
}

/** The roles, from the least to the highest. */
export const ROLES = ["viewer", "commenter", "proposer", "editor", "owner"] as const;

export type Role = (typeof ROLES)[number];

/** What somebody has: a role, or one that is narrowed to places of the document or marked with tags. */
export type Grant = Role | { role: Role; paths?: readonly string[]; tags?: JsonObject };

/** What a flow gives to those whom it doesn't name. */
export interface GeneralAccess {
  who: "restricted" | "signed-in" | "link";
  role: Role | null;
}

/** What a flow gives, by the ids of people and groups. */
export interface FlowAccess {
  owner: string | null;
  members: Record<string, Grant>;
  groups: Record<string, Grant>;
  general: GeneralAccess;
}

/** What a flow gives, with the tag of that state, for changes of it. */
export interface TaggedAccess {
  access: FlowAccess;
  tag: string | null;
}

/** A link by which guests come in. Times are Unix seconds. */
export interface ShareLink {
  id: string;
  role: Role;
  created_at: number;
  created_by: string;
  expires_at: number | null;
  has_password: boolean;
}

/** A new link; `path` has its secret, which the server doesn't show again. */
export interface NewLink extends ShareLink {
  path: string;
}

/** How a guest comes in: by a link, or to a flow that is for anyone with its address. */
export type Invitation = ({ link: string; password?: string } | { flow: string }) & { name: string };

/** A guest's token. */
export interface GuestToken {
  token: string;
  /** Unix seconds. */
  expires_at: number;
  flow_id: string;
  role: Role;
  principal_id: string;
}

/** Why the daemon refused, in words for people. */
export class RestError extends Error {
  readonly status: number;
  /** For programs: docs/errors.md lists the codes. `null` where the server gave none. */
  readonly code: string | null;
  /** In how many seconds the same request may succeed; `null` where that is unknown. */
  readonly wait: number | null;

  constructor(status: number, detail: string, code: string | null = null, wait: number | null = null) {
    super(detail);
    this.status = status;
    this.code = code;
    this.wait = wait;
  }
}

const TIMEOUT = 20_000;

/** Flows per request. */
export const PAGE = 100;

/** The most flows that are listed; search finds the others. */
export const MOST_FLOWS = 30 * PAGE;

/** Sessions per request: as many as the server lists in one answer. */
const SESSIONS = 1_000;

/** The longest title that the server takes, in characters. */
export const LONGEST_TITLE = 500;

async function ask<T>(method: string, path: string, body?: BodyInit, type = "application/json"): Promise<T> {
  const answer = await request(method, path, body === undefined ? {} : { body, headers: { "Content-Type": type } });
  await check(answer);
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

/** Are called when the server asks who makes a request, or doesn't accept what it says of that. */
export const refused = new Set<() => void>();

/** Ask with the page's token, if it has one; once more with another where that holds no more. */
async function request(method: string, path: string, more: RequestInit): Promise<Response> {
  const token = await credentials.token();
  let answer = await send(method, path, more, token);
  if (answer.status === 401 && token !== null) {
    credentials.forget();
    answer = await send(method, path, more, await credentials.token());
  }
  if (answer.status === 401 && !isGuest()) {
    for (const listener of refused) {
      listener();
    }
  }
  return answer;
}

function send(method: string, path: string, more: RequestInit, token: string | null): Promise<Response> {
  const headers = new Headers(more.headers);
  if (token !== null) {
    headers.set("Authorization", `Bearer ${token}`);
  }
  return fetch(`${told.base}/api${path}`, { method, signal: AbortSignal.timeout(TIMEOUT), ...more, headers }).catch(() => {
    throw new RestError(0, "The server can't be reached.");
  });
}

async function check(answer: Response): Promise<void> {
  if (!answer.ok) {
    // A proxy may have answered anything.
    const problem = (await answer.json().catch(() => null)) as { detail?: unknown; code?: unknown } | null;
    const { detail, code } = problem ?? {};
    const wait = Number(answer.headers.get("Retry-After") ?? NaN);
    throw new RestError(
      answer.status,
      typeof detail === "string" ? detail : `The server answered ${answer.status}.`,
      typeof code === "string" ? code : null,
      Number.isFinite(wait) ? wait : null,
    );
  }
}

/** Read an answer about access, with its tag. */
async function tagged(answer: Response): Promise<TaggedAccess> {
  await check(answer);
  return { access: (await answer.json()) as FlowAccess, tag: answer.headers.get("ETag") };
}

/** Read an answer as text; `null` if it has more than so many bytes. The rest isn't loaded. */
async function textOf({ body }: Response, most: number): Promise<string | null> {
  const decoder = new TextDecoder();
  let [text, bytes] = ["", 0];
  const reader = body?.getReader();
  for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) {
    bytes += part.value.length;
    if (bytes > most) {
      await reader?.cancel();
      return null;
    }
    text += decoder.decode(part.value, { stream: true });
  }
  return text + decoder.decode();
}

const at = (id: string): string => `/flows/${encodeURIComponent(id)}`;
/** Change something, with the user's name for the history and for those who have it open. */
const change = <T = unknown>(method: string, path: string, body?: BodyInit): Promise<T> =>
  ask(method, `${path}?by=${encodeURIComponent(thePerson().name)}`, body);

/** Name who has made something as can be shown. */
const withAuthor = <T extends { by: string }>(made: T): T => ({ ...made, by: authorOf(made.by) });

interface Page {
  flows: ListedFlow[];
  next: string | null;
}

/** The last answers by address: unchanged pages aren't sent again. */
const pages = new Map<string, { tag: string; page: Page }>();

/** The most pages that are kept. */
const MOST_PAGES = 100;

/** Give a page of flows: the very same object while nothing in it has changed. */
async function pageOf(query: URLSearchParams): Promise<Page> {
  const path = `/flows?${query}`;
  const known = pages.get(path);
  const answer = await request("GET", path, known === undefined ? {} : { headers: { "If-None-Match": known.tag } });
  if (answer.status === 304 && known !== undefined) {
    return known.page;
  }
  await check(answer);
  const page = (await answer.json()) as Page;
  const tag = answer.headers.get("ETag");
  pages.delete(path);
  if (tag !== null) {
    pages.set(path, { tag, page });
  }
  for (const oldest of [...pages.keys()].slice(0, -MOST_PAGES)) {
    pages.delete(oldest);
  }
  return page;
}

export const api = {
  /**
   * @param filter conditions for flows, by REST's parameters.
   * @param most how many to list, in whole pages.
   */
  async flows(search: string, filter: Readonly<Record<string, number>>, most: number): Promise<FlowList> {
    const query = new URLSearchParams({ limit: String(PAGE), ...(search === "" ? {} : { q: search }) });
    for (const [name, value] of Object.entries(filter)) {
      query.set(name, String(value));
    }
    // A flow that changes meanwhile may be on two pages.
    const found = new Map<string, ListedFlow>();
    let next: string | null = null;
    do {
      if (next !== null) {
        query.set("cursor", next);
      }
      const page: Page = await pageOf(query);
      for (const flow of page.flows) {
        found.set(flow.id, flow);
      }
      next = page.next;
    } while (next !== null && found.size < most);
    return { flows: [...found.values()], hasMore: next !== null };
  },
  /** How many pages and programs are in each flow now; nothing if one may not know. */
  async present(): Promise<Map<string, number>> {
    const { sessions } = await ask<{ sessions: { flow_id: string; client_count: number }[] }>(
      "GET",
      `/sessions?limit=${SESSIONS}`,
    ).catch((error: unknown) => {
      // Where the server asks who people are, it tells this to administrators alone.
      if (error instanceof RestError && error.status === 403) {
        return { sessions: [] };
      }
      throw error;
    });
    return new Map(sessions.map((one) => [one.flow_id, one.client_count]));
  },
  flow: (id: string, version?: number): Promise<WholeFlow> =>
    ask("GET", at(id) + (version === undefined ? "" : `?version=${version}`)),
  /** Give a flow's document; `null` if it takes more than so many bytes. */
  async smallDocument(id: string, most: number): Promise<FlowDocument | null> {
    const answer = await request("GET", at(id), {});
    await check(answer);
    const text = await textOf(answer, most);
    return text === null ? null : (JSON.parse(text) as WholeFlow).document;
  },
  create: (what: { template: string } | { document: JsonObject }): Promise<WholeFlow> =>
    change("POST", "/flows", JSON.stringify(what)),
  patch: (id: string, patch: JsonObject): Promise<unknown> => change("PATCH", at(id), JSON.stringify(patch)),
  duplicate: (id: string): Promise<WholeFlow> => change("POST", `${at(id)}/duplicate`),
  remove: (id: string): Promise<unknown> => change("DELETE", at(id)),
  undelete: (id: string): Promise<unknown> => ask("POST", `${at(id)}/undelete`),
  import: (text: string): Promise<WholeFlow & { dropped: { nodes: number; edges: number } }> =>
    change("POST", "/flows/import", text),
  /** Give a flow as a file. */
  async export(id: string): Promise<Blob> {
    const answer = await request("GET", `${at(id)}/export`, {});
    await check(answer);
    return answer.blob();
  },
  async entries(id: string, after: number, limit: number): Promise<{ entries: FlowEntry[]; next: number | null }> {
    const path = `${at(id)}/entries?after=${after}&limit=${limit}`;
    const page = await ask<{ entries: FlowEntry[]; next: number | null }>("GET", path);
    return { ...page, entries: page.entries.map(withAuthor) };
  },
  restore: (id: string, version: number): Promise<unknown> =>
    change("POST", `${at(id)}/restore`, JSON.stringify({ version })),
  async namedVersions(id: string): Promise<NamedVersion[]> {
    return (await ask<{ versions: NamedVersion[] }>("GET", `${at(id)}/versions`)).versions.map(withAuthor);
  },
  nameVersion: (id: string, version: number, name: string): Promise<unknown> =>
    change("PUT", `${at(id)}/versions/${version}`, JSON.stringify({ name })),
  unnameVersion: (id: string, version: number): Promise<unknown> => change("DELETE", `${at(id)}/versions/${version}`),
  async templates(): Promise<ListedTemplate[]> {
    return (await ask<{ templates: ListedTemplate[] }>("GET", "/templates")).templates;
  },
  template: (id: string): Promise<ListedTemplate & { document: FlowDocument }> =>
    ask("GET", `/templates/${encodeURIComponent(id)}`),
  me: (): Promise<Me> => ask("GET", "/me"),
  ways: (): Promise<Ways> => ask("GET", "/auth"),
  /** Sign out, at an address that `ways` gives; gives where to go then, if anywhere. */
  async signOut(path: string): Promise<string | null> {
    const answer = await fetch(`${told.base}/${path}`, { method: "POST", signal: AbortSignal.timeout(TIMEOUT) });
    await check(answer);
    const { location: next } = (await answer.json().catch(() => ({}))) as { location?: unknown };
    return typeof next === "string" ? next : null;
  },
  /** Whether this person may see a flow, if the server knows who they are. */
  async maySee(id: string): Promise<boolean> {
    const answer = await request("GET", `${at(id)}/status`, {});
    if (answer.status === 404) {
      return false;
    }
    await check(answer);
    return true;
  },
  async access(id: string): Promise<TaggedAccess> {
    return tagged(await request("GET", `${at(id)}/access`, {}));
  },
  /**
   * Change what a flow gives.
   *
   * @param tag of the state that was changed: if there is another one by now, the server refuses (412).
   */
  async changeAccess(id: string, patch: JsonObject, tag: string | null): Promise<TaggedAccess> {
    const headers = { "Content-Type": "application/merge-patch+json", ...(tag === null ? {} : { "If-Match": tag }) };
    return tagged(await request("PATCH", `${at(id)}/access`, { body: JSON.stringify(patch), headers }));
  },
  async links(id: string): Promise<ShareLink[]> {
    return (await ask<{ links: ShareLink[] }>("GET", `${at(id)}/links`)).links;
  },
  createLink: (id: string, link: { role: Role; expires_in?: number; password?: string }): Promise<NewLink> =>
    ask("POST", `${at(id)}/links`, JSON.stringify(link)),
  revokeLink: (id: string, link: string): Promise<unknown> => ask("DELETE", `${at(id)}/links/${encodeURIComponent(link)}`),
  /**
   * Come in as a guest.
   *
   * @param token of the same guest, which is to be renewed.
   */
  async visit(invitation: Invitation, token: string | null): Promise<GuestToken> {
    const headers = { "Content-Type": "application/json" };
    const answer = await send("POST", "/guests", { body: JSON.stringify(invitation), headers }, token);
    await check(answer);
    return (await answer.json()) as GuestToken;
  },
};

/** Give an error's message, whatever the error is. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
