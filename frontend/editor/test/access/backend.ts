/** A server's REST in tests of pages: answers by method and path. */

import { vi } from "vitest";

export interface Asked {
  method: string;
  path: string;
  body: unknown;
  headers: Headers;
}

export type Answer = { status?: number; body?: unknown; headers?: Record<string, string> };

export class Backend {
  readonly asked: Asked[] = [];
  /** By `GET /me`; a function is asked each time. */
  readonly answers = new Map<string, Answer | ((asked: Asked) => Answer | Promise<Answer>)>();

  constructor() {
    vi.stubGlobal("fetch", (url: string, { method = "GET", body, headers }: RequestInit = {}) => this.#take(url, method, body, headers));
  }

  /** What was asked of a route, in order. */
  heard(route: string): Asked[] {
    return this.asked.filter(({ method, path }) => `${method} ${path}` === route);
  }

  async #take(url: string, method: string, body: BodyInit | null | undefined, headers: HeadersInit | undefined): Promise<Response> {
    const path = url.replace(/^.*?\/api(?=\/)/, "").split("?")[0] ?? "";
    const asked = { method, path, body: typeof body === "string" ? (JSON.parse(body) as unknown) : undefined, headers: new Headers(headers) };
    this.asked.push(asked);
    const given = this.answers.get(`${method} ${path}`) ?? { status: 404, body: { detail: "There is nothing", code: "not_found" } };
    const answer = typeof given === "function" ? await given(asked) : given;
    const status = answer.status ?? 200;
    return new Response(status === 204 || status === 304 ? null : JSON.stringify(answer.body ?? {}), { status, headers: answer.headers ?? {} });
  }
}

/** A refusal, as the server writes it. */
export const refusal = (status: number, code: string, detail = code, headers: Record<string, string> = {}): Answer =>
  ({ status, body: { status, code, detail }, headers });
