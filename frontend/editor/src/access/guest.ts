/** Guests: who comes by a link, or to a flow that is for anyone with its address. */

import { api, type GuestToken, reasonOf, RestError } from "../api";
import { flowIdOf, pathBelow } from "../address";
import type { TokenSource } from "../tokenSource";

/** Milliseconds before its end at which a token is renewed; the server announces the end a minute before. */
const EARLY = 65_000;

/** The longest password that a link may have. */
export const LONGEST_PASSWORD = 1_024;

const HASH = "#link=";
const KEY = "helix-guest:";

/** What a tab keeps of a guest, until it is closed. */
interface Kept {
  link: string | null;
  token: string | null;
  /** Unix seconds. */
  expires: number;
}

function read(flowId: string): Kept | null {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY + flowId) ?? "null") as Partial<Kept> | null;
    const { link = null, token = null, expires = 0 } = kept ?? {};
    return kept === null ? null : { link, token, expires };
  } catch {
    return null;
  }
}

function write(flowId: string, kept: Kept | null): void {
  try {
    if (kept === null) {
      sessionStorage.removeItem(KEY + flowId);
    } else {
      sessionStorage.setItem(KEY + flowId, JSON.stringify(kept));
    }
  } catch {
    // Without storage it lasts as long as the page.
  }
}

/** Links that were in the address of this page, by flow. */
const links = new Map<string, string>();

/** Take a link's secret out of the address, so that it is neither shown nor kept in the history; tell whether there was one. */
export function takeLink(): boolean {
  const flowId = flowIdOf(pathBelow(location.pathname));
  if (flowId !== null && location.hash.startsWith(HASH)) {
    const link = location.hash.slice(HASH.length);
    links.set(flowId, link);
    write(flowId, { link, token: null, expires: 0 });
    history.replaceState(history.state, "", location.pathname + location.search);
    return true;
  }
  return false;
}

/** Take the link of this page, and those that somebody puts into the address later. */
export function takeLinks(): void {
  takeLink();
  addEventListener("hashchange", () => {
    if (takeLink()) {
      location.reload();
    }
  });
}

/** Why a guest isn't let in. */
export type Trouble =
  | { kind: "password"; wasWrong: boolean }
  /** Not before a time, in milliseconds since 1970. */
  | { kind: "wait"; until: number; needsPassword: boolean }
  | { kind: "refused"; reason: string };

/** A guest of one flow, whose token is renewed before it is over. */
export class Guest implements TokenSource {
  readonly flowId: string;
  #name: string;
  #kept: Kept;
  /** It is in memory alone. */
  #password: string | null = null;
  #entering: Promise<string> | null = null;
  /** No later token can be had: the link ends with this one. */
  #isLast = false;
  #trouble: Trouble | null = null;
  readonly #listeners = new Set<() => void>();

  constructor(flowId: string, name: string, kept: Partial<Kept> = {}) {
    this.flowId = flowId;
    this.#name = name;
    this.#kept = { link: null, token: null, expires: 0, ...kept };
  }

  /** Give the guest that this tab may be in a flow; `null` if it has neither link nor token. */
  static of(flowId: string, name: string): Guest | null {
    const link = links.get(flowId);
    const kept = read(flowId) ?? (link === undefined ? null : { link });
    return kept === null ? null : new Guest(flowId, name, kept);
  }

  /** Whether it has come by a link. */
  get hasLink(): boolean {
    return this.#kept.link !== null;
  }

  /** Why it isn't let in; `null` if it is, as far as is known. */
  get trouble(): Trouble | null {
    return this.#trouble;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Give a token that holds for a while. */
  async token(): Promise<string> {
    const { token, expires } = this.#kept;
    return token !== null && expires * 1_000 - Date.now() > (this.#isLast ? 0 : EARLY) ? token : this.#enter();
  }

  forget(): void {
    this.#kept = { ...this.#kept, expires: 0 };
  }

  /** Come in again, whatever the token says of its end. */
  again(): Promise<string> {
    this.forget();
    return this.token();
  }

  /** Come in with the password that the link asks for. */
  async tryPassword(password: string): Promise<void> {
    this.#password = password;
    await this.again();
  }

  /** Be called something else. */
  async rename(name: string): Promise<void> {
    const before = this.#name;
    this.#name = name;
    try {
      await this.again();
    } catch (error) {
      this.#name = before;
      throw error;
    }
  }

  /** Forget link and token: the person may see the flow in their own name. */
  leave(): void {
    links.delete(this.flowId);
    write(this.flowId, null);
  }

  /** Ask for a token; once, however many ask for it at the same time. */
  #enter(): Promise<string> {
    this.#entering ??= this.#ask().finally(() => { this.#entering = null; });
    return this.#entering;
  }

  async #ask(): Promise<string> {
    const { link, token, expires } = this.#kept;
    const by = link === null ? { flow: this.flowId } : { link, ...(this.#password === null ? {} : { password: this.#password }) };
    try {
      const given = await this.#visit({ ...by, name: this.#name }, token);
      this.#isLast = token !== null && given.expires_at <= expires;
      this.#kept = this.#isLast ? this.#kept : { link, token: given.token, expires: given.expires_at };
      write(this.flowId, this.#kept);
      this.#move(null);
      return this.#kept.token ?? given.token;
    } catch (error) {
      this.#move(this.#troubleOf(error));
      throw error;
    }
  }

  /** A token that the server doesn't accept any more doesn't keep the guest out. */
  async #visit(invitation: Parameters<typeof api.visit>[0], token: string | null): Promise<GuestToken> {
    try {
      return await api.visit(invitation, token);
    } catch (error) {
      if (token !== null && error instanceof RestError && error.status === 401) {
        return api.visit(invitation, null);
      }
      throw error;
    }
  }

  /** Without an answer, nothing is known. */
  #troubleOf(error: unknown): Trouble | null {
    if (!(error instanceof RestError) || error.status === 0 || error.status >= 500) {
      return this.#trouble;
    }
    if (error.status === 429) {
      return { kind: "wait", until: Date.now() + (error.wait ?? 1) * 1_000, needsPassword: this.#password !== null };
    }
    return error.code === "password_refused"
      ? { kind: "password", wasWrong: this.#password !== null }
      : { kind: "refused", reason: reasonOf(error) };
  }

  #move(trouble: Trouble | null): void {
    this.#trouble = trouble;
    for (const listener of [...this.#listeners]) {
      listener();
    }
  }
}
