/** Attempts to connect: one at a time, each with the token as it is then. */

import type { FlowError } from "../types.js";
import { Cause, type examine } from "./cause.js";

/** Milliseconds until a connection that is asked for must be there. */
const OPEN_TIMEOUT = 20_000;

/** Milliseconds after which it is asked why there is none yet: what isn't Helix may leave it unanswered. */
const ASK_AFTER = 3000;

/** Milliseconds for which an attempt is a new one. */
const FRESH = 1000;

export interface AttemptsOptions {
  url: string;
  token?: string | (() => string | Promise<string>) | undefined;
  /** Finds out why a connect fails. */
  examine?: typeof examine | undefined;
}

export interface AttemptsOwner {
  /** Ask for a connection. */
  connect(): void;
  /** The wait for the next attempt is over. */
  again(): void;
  /** This one has failed, as far as can be seen from here. */
  failed(why: string): void;
  /** It turned out why. */
  explained(why: FlowError): void;
}

export class Attempts {
  /** Who one is, as of this attempt. */
  token: string | undefined;
  /** Whether the next is waited for. */
  isWaiting = false;
  readonly #options: AttemptsOptions;
  readonly #owner: AttemptsOwner;
  readonly #cause: Cause;
  /** Counts them: what an earlier one waits for comes too late. */
  #count = 0;
  #begunAt = -Infinity;
  /** Whether this one has asked for a connection, and got none so far. */
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

  /** Why they fail, as far as is known. */
  get why(): FlowError | null {
    return this.#cause.error;
  }

  /** Whether one is under way that has just begun: what wakes a page may tell of that twice. */
  get isFresh(): boolean {
    return !this.isWaiting && performance.now() - this.#begunAt <= FRESH;
  }

  /** Begin one, in place of any other. */
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

  /** Have one begun after so many milliseconds, as this one has failed so many times in a row. */
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

  /** There is a connection. */
  opened(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#asking);
    this.#isUnanswered = false;
    this.#cause.opened();
  }

  /** Give up this one, and begin no other. */
  stop(): void {
    this.#count += 1;
    this.isWaiting = this.#isUnanswered = false;
    clearTimeout(this.#timer);
    clearTimeout(this.#asking);
  }

  #connect(token: string | undefined, attempt: number): void {
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

  /** What was to give the token, or the connection, may do so the next time. */
  #fail(error: unknown, attempt: number): void {
    if (attempt === this.#count) {
      this.#isUnanswered = false;
      this.#owner.failed(`The connection can't be made: ${String(error)}`);
    }
  }
}
