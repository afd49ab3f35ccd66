/** The daemon's REST. */

import type { FlowDocument, FlowEntry, JsonObject } from "helix-flows";

/** A flow, as lists have it. */
export interface ListedFlow {
  id: string;
  title: string;
  version: number;
  node_count: number;
  edge_count: number;
  updated_at: number;
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

/** Why the daemon said no, in words for people. */
export class RestError extends Error {
  readonly status: number;

  constructor(status: number, detail: string) {
    super(detail);
    this.status = status;
  }
}

const TIMEOUT = 20_000;

async function ask<T>(method: string, path: string, body?: BodyInit, type = "application/json"): Promise<T> {
  const answer = await fetch(`/api${path}`, {
    method,
    signal: AbortSignal.timeout(TIMEOUT),
    ...(body === undefined ? {} : { body, headers: { "Content-Type": type } }),
  }).catch(() => {
    throw new RestError(0, "The server can't be reached.");
  });
  if (!answer.ok) {
    const problem = (await answer.json().catch(() => ({}))) as { detail?: string };
    throw new RestError(answer.status, problem.detail ?? `The server answered ${answer.status}.`);
  }
  return (await answer.json()) as T;
}

const at = (id: string): string => `/flows/${encodeURIComponent(id)}`;

export const api = {
  async flows(search: string): Promise<ListedFlow[]> {
    const query = new URLSearchParams({ limit: "200", ...(search === "" ? {} : { q: search }) });
    return (await ask<{ flows: ListedFlow[] }>("GET", `/flows?${query}`)).flows;
  },
  /** How many are in which flow at the moment. */
  async present(): Promise<Map<string, number>> {
    const { sessions } = await ask<{ sessions: { flow_id: string; client_count: number }[] }>(
      "GET",
      "/sessions?limit=1000",
    );
    return new Map(sessions.map((one) => [one.flow_id, one.client_count]));
  },
  flow: (id: string, version?: number): Promise<WholeFlow> =>
    ask("GET", at(id) + (version === undefined ? "" : `?version=${version}`)),
  create: (what: { template: string } | { document: JsonObject }): Promise<WholeFlow> =>
    ask("POST", "/flows", JSON.stringify(what)),
  patch: (id: string, patch: JsonObject): Promise<unknown> => ask("PATCH", at(id), JSON.stringify(patch)),
  duplicate: (id: string): Promise<WholeFlow> => ask("POST", `${at(id)}/duplicate`),
  remove: (id: string): Promise<unknown> => ask("DELETE", at(id)),
  undelete: (id: string): Promise<unknown> => ask("POST", `${at(id)}/undelete`),
  import: (text: string): Promise<WholeFlow & { dropped: { nodes: number; edges: number } }> =>
    ask("POST", "/flows/import", text),
  entries: (id: string, after: number, limit: number): Promise<{ entries: FlowEntry[]; next: number | null }> =>
    ask("GET", `${at(id)}/entries?after=${after}&limit=${limit}`),
  restore: (id: string, version: number): Promise<unknown> =>
    ask("POST", `${at(id)}/restore`, JSON.stringify({ version })),
  async templates(): Promise<ListedTemplate[]> {
    return (await ask<{ templates: ListedTemplate[] }>("GET", "/templates")).templates;
  },
  template: (id: string): Promise<ListedTemplate & { document: FlowDocument }> =>
    ask("GET", `/templates/${encodeURIComponent(id)}`),
};

/** Say what went wrong, whatever it was. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
