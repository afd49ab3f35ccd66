/** Why there is no connection: a browser doesn't say, so the server is asked another way. */

import { BLOCKED, NO_HELIX, refusal } from "../model/errors.js";
import { isObject } from "../model/mergepatch.js";
import type { FlowError } from "../types.js";

/** Attempts that fail before it is asked: most that fail now and then succeed soon. */
const FAILURES = 3;

/** Milliseconds between questions, at least. */
const INTERVAL = 3000;

/** Milliseconds that an answer may take. */
const TIMEOUT = 5000;

/**
 * Ask a server by HTTP whether this page may connect.
 *
 * @param url of the server.
 * @param token that goes with a connect.
 * @returns `"admitted"`, or why not; `null` where nothing is known, as when it can't be reached.
 */
export async function examine(url: string, token: string | undefined): Promise<FlowError | "admitted" | null> {
  const address = url.replace(/^ws/, "http").replace(/\/+$/, "");
  // Of this form a browser lets any page ask, and says who asks.
  const options = { credentials: "omit", cache: "no-store" } as const;
  const body = JSON.stringify(token === undefined ? {} : { token });
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

/** Tell whether something answers there that lets no page of another origin read it: no server of ours. */
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
  /** Why, as far as is known. */
  error: FlowError | null = null;
  readonly #examine: () => Promise<FlowError | "admitted" | null>;
  readonly #found: (why: FlowError) => void;
  #askedAt = -Infinity;
  /** Counts what has come of attempts: what was asked before says nothing any more. */
  #round = 0;
  #wasAdmitted = false;

  constructor(examine: () => Promise<FlowError | "admitted" | null>, found: (why: FlowError) => void) {
    this.#examine = examine;
    this.#found = found;
  }

  /** Another attempt has failed before there was a connection. */
  failed(failures: number): void {
    if (failures >= FAILURES) {
      this.#askNow(true);
    }
  }

  /** An attempt is unanswered for long. It may just be slow, so that it is admitted says nothing. */
  unanswered(): void {
    this.#askNow(false);
  }

  /** There is a connection. */
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
    // It may have come back a moment ago; whom it admits twice, and who doesn't get through, is held up.
    const isHeldUp = finding === "admitted" && this.#wasAdmitted;
    this.#wasAdmitted = finding === "admitted";
    this.error = finding === "admitted" ? (isHeldUp ? BLOCKED : null) : finding;
    if (this.error !== null) {
      this.#found(this.error);
    }
  }
}
