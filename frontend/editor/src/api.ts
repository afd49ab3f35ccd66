/** The client of the daemon's REST API. */

import { type Actor, authorOf, type FlowDocument, type FlowEntry, type JsonObject } from "helix-flows";

import { credentials } from "./credentials";
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
  /** What this person may do with it, where the server asks who people are. */
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

/** Why the daemon refused, in words for people. */
export class RestError extends Error {
  readonly status: number;

  constructor(status: number, detail: string) {
    super(detail);
    this.status = status;
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

/** Ask with the page's token, if it has one; once more with another where that holds no more. */
async function request(method: string, path: string, more: RequestInit): Promise<Response> {
  const token = await credentials.token();
  const answer = await send(method, path, more, token);
  if (answer.status !== 401 || token === null) {
    return answer;
  }
  credentials.forget();
  return send(method, path, more, await credentials.token());
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
    const problem = (await answer.json().catch(() => null)) as { detail?: unknown } | null;
    const detail = problem?.detail;
    throw new RestError(answer.status, typeof detail === "string" ? detail : `The server answered ${answer.status}.`);
  }
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
};

/** Give an error's message, whatever the error is. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
