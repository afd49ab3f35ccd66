/** The page in a frame of another product, whose page gives it a token. */

import type { Told } from "./told";
import type { TokenSource } from "./tokenSource";

/** Milliseconds in which the page around this one must answer. */
export const PATIENCE = 10_000;

/** The same where a token isn't needed. */
export const COURTESY = 1_000;

/** The part of a window that is used, so that tests may have another. */
export interface Frame {
  readonly parent: { postMessage: (message: unknown, targetOrigin: string) => void };
  addEventListener: (type: "message", listener: (event: MessageEvent) => void) => void;
}

/** Tell whether a page stands in a frame, and pages that may give it a token are known. */
export const isFramed = (frame: Frame, { ancestors }: Told): boolean => (frame.parent as unknown) !== frame && ancestors.length > 0;

interface Wanted {
  readonly promise: Promise<string | null>;
  readonly resolve: (token: string | null) => void;
}

/**
 * Takes the token from the page around this one, by `postMessage`.
 *
 * This page says `helix:ready` once, and `helix:token-needed` whenever it needs another token. The answer is
 * `helix:token` with `token`: a text, or null if there is none. It may also come unasked. Only an answer from
 * the very window around this one counts, of an origin that the server allows. The token stays in memory.
 */
export class Embedding implements TokenSource {
  readonly #frame: Frame;
  readonly #told: Told;
  readonly #listeners = new Set<() => void>();
  /** `undefined`: it has to be asked for. */
  #token: string | null | undefined;
  #wanted: Wanted | null = null;
  /** What it said first asks for the first token. */
  #isAskedFor = true;

  constructor(frame: Frame, told: Told) {
    this.#frame = frame;
    this.#told = told;
    frame.addEventListener("message", (event) => {
      if (event.source === frame.parent && told.ancestors.includes(event.origin)) {
        this.#take(event.data);
      }
    });
    this.#say("helix:ready");
  }

  token(): Promise<string | null> {
    if (this.#token !== undefined || !this.#told.tokens) {
      return Promise.resolve(this.#token ?? null);
    }
    return (this.#wanted ??= this.#ask()).promise;
  }

  forget(): void {
    // Where there was none, the page around this one says when there is.
    if (this.#token !== null) {
      this.#token = undefined;
    }
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #ask(): Wanted {
    if (!this.#isAskedFor) {
      this.#say("helix:token-needed");
    }
    this.#isAskedFor = false;
    let resolve: Wanted["resolve"] = () => undefined;
    const promise = new Promise<string | null>((settle, reject) => {
      const timer = setTimeout(() => {
        this.#wanted = null;
        if (this.#told.anyone) {
          this.#token = null;
          settle(null);
        } else {
          reject(new Error("The page around the editor gave no token"));
        }
      }, this.#told.anyone ? COURTESY : PATIENCE);
      resolve = (token): void => {
        clearTimeout(timer);
        settle(token);
      };
    });
    return { promise, resolve };
  }

  #take(message: unknown): void {
    const { type, token } = (message ?? {}) as { type?: unknown; token?: unknown };
    if (type !== "helix:token" || (token !== null && (typeof token !== "string" || token === ""))) {
      return;
    }
    this.#token = token;
    this.#isAskedFor = false;
    const wanted = this.#wanted;
    this.#wanted = null;
    wanted?.resolve(token);
    for (const listener of [...this.#listeners]) {
      listener();
    }
  }

  #say(type: string): void {
    // It holds no secret, and the server lets no other pages show this one.
    this.#frame.parent.postMessage({ type }, "*");
  }
}
