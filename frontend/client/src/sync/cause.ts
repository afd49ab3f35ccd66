/** Finds out why there is no connection: the browser doesn't say, so the server is asked by HTTP. */

import { BLOCKED, NO_HELIX, refusal } from "../model/errors.js";
import { isObject } from "../model/mergepatch.js";
import type { FlowError } from "../types.js";

/** Failed attempts before the server is asked: most occasional failures end soon. */
const FAILURES = 3;

/** The least milliseconds between two questions. */
const INTERVAL = 3000;

/** Milliseconds in which the server must answer. */
const TIMEOUT = 5000;

/**
 * Ask a server by HTTP whether this page may connect.
 *
 * @param url of the server.
 * @param token the one for connecting, if there is one.
 * @returns `"admitted"`, or why not; `null` if that is unknown, for example without an answer.
 */
export async function examine(url: string, token: string | null | undefined): Promise<FlowError | "admitted" | null> {
  const address = url.replace(/^ws/, "http").replace(/\/+$/, "");
  // Browsers allow such a request from any page, and send the page's origin.
  // A page of the server itself connects with its cookies, so it asks with them.
  const options = { credentials: "same-origin", cache: "no-store" } as const;
  const body = JSON.stringify({ token: token ?? undefined });
  let answer: Response;
  try {
    answer = await fetch(`${address}/socket/check`, {
      ...options,
      method: "POST",
      body,
      signal: AbortSignal.timeout(TIMEOUT),
    });
  } catch {
    return (await isAnybodyThere(address, options)) ? NO_HELIX : null;
  }
  const isOlder = answer.headers.get("content-type")?.startsWith("application/problem+json") === true;
  if (answer.status >= 500 || isOlder) {
    return null;
  }
  const told: unknown = await answer.json().catch(() => null);
  if (!isObject(told) || typeof told["admitted"] !== "boolean") {
    return NO_HELIX;
  }
  if (told["admitted"]) {
    return "admitted";
  }
  const { reason, code } = refusal(told["refusal"]);
  return { reason, code };
}

/** Tell whether another server answers there: ours would let this page read the answer. */
async function isAnybodyThere(address: string, options: RequestInit): Promise<boolean> {
  try {
    await fetch(address, { ...options, mode: "no-cors", signal: AbortSignal.timeout(TIMEOUT) });
    return true;
  } catch {
    return false;
  }
}

/** Finds out why attempts to connect fail, not too often. */
export class Cause {
  /** The cause, as far as is known. */
  error: FlowError | null = null;
  readonly #examine: () => Promise<FlowError | "admitted" | null>;
  readonly #found: (why: FlowError) => void;
  #askedAt = -Infinity;
  /** Counts connections: answers to questions from before one are ignored. */
  #round = 0;
  #wasAdmitted = false;

  constructor(examine: () => Promise<FlowError | "admitted" | null>, found: (why: FlowError) => void) {
    this.#examine = examine;
    this.#found = found;
  }

  /** Another attempt failed before it had a connection. */
  failed(failures: number): void {
    if (failures >= FAILURES) {
      this.#askNow(true);
    }
  }

  /** An attempt is unanswered for long. It may just be slow, so `"admitted"` proves nothing. */
  unanswered(): void {
    this.#askNow(false);
  }

  /** The connection is open. */
  opened(): void {
    this.#round += 1;
    this.#wasAdmitted = false;
    this.error = null;
  }

  #askNow(hasFailed: boolean): void {
    const now = performance.now();
    if (now - this.#askedAt >= INTERVAL) {
      this.#askedAt = now;
      void this.#ask(this.#round, hasFailed);
    }
  }

  async #ask(round: number, hasFailed: boolean): Promise<void> {
    const finding = await this.#examine().catch(() => null);
    if (round !== this.#round || (!hasFailed && finding === "admitted")) {
      return;
    }
    // The first time, it may have just come back. If it admits this page twice, something blocks the way.
    const isHeldUp = finding === "admitted" && this.#wasAdmitted;
    this.#wasAdmitted = finding === "admitted";
    this.error = finding === "admitted" ? (isHeldUp ? BLOCKED : null) : finding;
    if (this.error !== null) {
      this.#found(this.error);
    }
  }
}
