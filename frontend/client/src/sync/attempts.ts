/** Attempts to connect: one at a time, each with the current token. */

import type { FlowError } from "../types.js";
import { Cause, type examine } from "./cause.js";

/** Milliseconds in which a connection must open. */
const OPEN_TIMEOUT = 20_000;

/** Milliseconds of silence after which the server is asked why: another server may never answer. */
const ASK_AFTER = 3000;

/** Milliseconds for which an attempt counts as new. */
const FRESH = 1000;

export interface AttemptsOptions {
  url: string;
  token?: string | (() => string | null | Promise<string | null>) | undefined;
  /** Finds out why an attempt fails. */
  examine?: typeof examine | undefined;
}

export interface AttemptsOwner {
  /** Open a connection. */
  connect(): void;
  /** It is time for the next attempt. */
  again(): void;
  /** The attempt has failed, as far as is known here. */
  failed(why: string): void;
  /** The cause was found. */
  explained(why: FlowError): void;
}

export class Attempts {
  /** The token of this attempt. */
  token: string | null | undefined;
  /** Whether the next attempt is scheduled. */
  isWaiting = false;
  readonly #options: AttemptsOptions;
  readonly #owner: AttemptsOwner;
  readonly #cause: Cause;
  /** Counts attempts: results of an earlier one are ignored. */
  #count = 0;
  #begunAt = -Infinity;
  /** Whether this attempt asked for a connection and has none yet. */
  #isUnanswered = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asking: ReturnType<typeof setTimeout> | undefined;

  constructor(options: AttemptsOptions, owner: AttemptsOwner) {
    this.#options = options;
    this.#owner = owner;
    this.#cause = new Cause(
      () => options.examine?.(options.url, this.token) ?? Promise.resolve(null),
      (why) => {
        owner.explained(why);
      },
    );
  }

  /** Why attempts fail, as far as is known. */
  get why(): FlowError | null {
    return this.#cause.error;
  }

  /** Whether an attempt has just begun: browsers may report one wake-up twice. */
  get isFresh(): boolean {
    return !this.isWaiting && performance.now() - this.#begunAt <= FRESH;
  }

  /** Begin an attempt, in place of any other. */
  begin(): void {
    this.stop();
    this.#begunAt = performance.now();
    this.#timer = setTimeout(() => {
      this.#owner.failed("The server doesn't answer");
    }, OPEN_TIMEOUT);
    const attempt = this.#count;
    try {
      const { token } = this.#options;
      const given = typeof token === "function" ? token() : token;
      if (given instanceof Promise) {
        given.then(
          (later) => {
            this.#connect(later, attempt);
          },
          (error: unknown) => {
            this.#fail(error, attempt);
          },
        );
      } else {
        this.#connect(given, attempt);
      }
    } catch (error) {
      this.#fail(error, attempt);
    }
  }

  /** Schedule the next attempt after `wait` milliseconds; so many have failed in a row. */
  later(wait: number, failures: number): void {
    const isRefused = this.#isUnanswered;
    this.stop();
    this.isWaiting = true;
    this.#timer = setTimeout(() => {
      this.#owner.again();
    }, wait);
    if (isRefused) {
      this.#cause.failed(failures);
    }
  }

  /** The connection is open. */
  opened(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#asking);
    this.#isUnanswered = false;
    this.#cause.opened();
  }

  /** Give up this attempt, and begin no other. */
  stop(): void {
    this.#count += 1;
    this.isWaiting = this.#isUnanswered = false;
    clearTimeout(this.#timer);
    clearTimeout(this.#asking);
  }

  /** Ask for a new token; `null` if there is none to be had, or only the same again. */
  async renewed(): Promise<string | null> {
    const { token } = this.#options;
    if (typeof token !== "function") {
      return null;
    }
    try {
      const before = this.token;
      this.token = await token();
      // The server would announce its end again, and again.
      return this.token === before ? null : this.token;
    } catch (error) {
      // The next attempt to connect asks again.
      console.error(error);
      return null;
    }
  }

  #connect(token: string | null | undefined, attempt: number): void {
    if (attempt !== this.#count) {
      return;
    }
    this.token = token;
    this.#isUnanswered = true;
    this.#asking = setTimeout(() => {
      this.#cause.unanswered();
    }, ASK_AFTER);
    try {
      this.#owner.connect();
    } catch (error) {
      this.#fail(error, attempt);
    }
  }

  /** Report a failure to get the token or the connection. The next attempt may succeed. */
  #fail(error: unknown, attempt: number): void {
    if (attempt === this.#count) {
      this.#isUnanswered = false;
      this.#owner.failed(`The connection can't be made: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}
