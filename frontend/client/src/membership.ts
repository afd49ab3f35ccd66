/** A client's place in a flow: connect, join, and do so again whenever it is lost. */

import { type Channel, Presence, Socket, type SocketConnectOption } from "phoenix";

import { Backoff, CAP } from "./backoff";
import { deletion, ENDED, LOST, refusal, REPLACED, UNREACHABLE } from "./errors";
import { isObject } from "./mergepatch";
import type { FlowError, JsonObject } from "./types";

/** Milliseconds that the server has to answer a push; it answers when the store has, or can't. */
export const PUSH_TIMEOUT = 30_000;

/** Milliseconds that a join may take: a large document comes slowly over a slow line. */
const JOIN_TIMEOUT = 120_000;

/** Milliseconds until a connection that is asked for must be there. */
const OPEN_TIMEOUT = 20_000;

/** Milliseconds that a connection has to show that it still is one. */
const PROBE_TIMEOUT = 5000;

/** Milliseconds that `setTimeout` can wait at most. */
const NEVER = 2 ** 31 - 1;

/** Milliseconds after which a join counts as one that lasted. */
const STABLE = 10_000;

/** Attempts that may fail before it is tried slowly. */
export const PATIENCE = 10;

/** From this close code on, a client is not to come back. */
const FIRST_FINAL_CODE = 4500;

/** How a client stands to its flow. */
export interface Standing {
  kind: "offline" | "joined" | "closed";
  error: FlowError | null;
  failedAttempts: number;
  isSlow: boolean;
  nextAttemptAt: number | null;
}

/** Whose place it is. */
export interface MembershipOwner {
  /** Give the parameters of the next join. */
  parameters(): JsonObject;
  /** Take the response to a join. Where that can't be, throw: it is joined again. */
  joined(response: JsonObject): void;
  /** Take an event; likewise. */
  received(event: string, payload: JsonObject): void;
  /** The standing is another one. */
  moved(standing: Standing): void;
  /** Who is in the flow, by key, as Phoenix's `Presence` keeps it. */
  present?(list: { key: string; metas: JsonObject[] }[]): void;
}

export interface MembershipOptions {
  url: string;
  topic: string;
  token?: string | (() => string) | undefined;
  webSocket?: (new (url: string, protocols?: string | string[]) => object) | undefined;
  random: () => number;
}

/** What becomes of a push, unless its channel ends first: then nothing is called. */
export interface PushCalls {
  ok(response: JsonObject): void;
  refused(error: FlowError & { retry: boolean }): void;
}

const EVENTS = [
  "entries",
  "reset",
  "cursors",
  "version_named",
  "versions_changed",
  "flow_deleted",
  "session_ended",
  "replaced",
];

/** Keeps a client joined to a topic, by the stock `phoenix` package, over one socket of its own. */
export class Membership {
  standing: Standing = {
    kind: "offline",
    error: null,
    failedAttempts: 0,
    isSlow: false,
    nextAttemptAt: null,
  };
  readonly #owner: MembershipOwner;
  readonly #random: () => number;
  readonly #backoff: Backoff;
  readonly #socket: Socket;
  readonly #channel: Channel;
  #joinedAt: number | null = null;
  #hadPlace = false;
  /** Counts the joins: what an earlier one has left behind is not heard any more. */
  #joins = 0;
  #lastWords: FlowError | null = null;
  #connecting: ReturnType<typeof setTimeout> | undefined;
  #opening: ReturnType<typeof setTimeout> | undefined;
  #probing: ReturnType<typeof setTimeout> | undefined;

  constructor(options: MembershipOptions, owner: MembershipOwner) {
    this.#owner = owner;
    this.#random = options.random;
    this.#backoff = new Backoff(options.random);
    const settings: Partial<SocketConnectOption> = {
      transport: options.webSocket ?? globalThis.WebSocket,
      // The package doesn't connect while its page is hidden; what is unsent must not wait for that.
      reconnectAfterMs: () => {
        this.#connectIn(this.#wait());
        return NEVER;
      },
      rejoinAfterMs: () => this.#wait(),
    };
    const { token } = options;
    if (token !== undefined) {
      // The package takes a function, too; its types don't say so.
      settings.authToken = token as string;
    }
    this.#socket = new Socket(socketAddress(options.url), settings);
    this.#socket.onOpen(() => {
      clearTimeout(this.#opening);
    });
    this.#socket.onClose((event) => {
      clearTimeout(this.#opening);
      this.#cut(event);
    });
    this.#channel = this.#socket.channel(options.topic, () => this.#owner.parameters());
    this.#hear();
  }

  start(): void {
    this.#connect();
    this.#channel
      .join(JOIN_TIMEOUT)
      .receive("ok", (response: unknown) => {
        this.#joined(response);
      })
      .receive("error", (response: unknown) => {
        const error = refusal(response);
        this.#lastWords = error;
        if (error.retry) {
          this.#move({ error });
        } else {
          this.#end(error);
        }
      });
  }

  /** Leave. What was pushed still goes out. */
  stop(): void {
    this.#end({ reason: "The client was stopped", code: "client_stopped" });
  }

  /**
   * Tell the server something. Where it isn't joined, or the connection is about to close, nothing
   * happens: the package would keep it, and send it before what was pushed earlier and is sent again.
   *
   * @returns whether it went out.
   */
  push(event: string, payload: JsonObject, calls: PushCalls): boolean {
    if (!this.#isOpen()) {
      return false;
    }
    const join = this.#joins;
    const current = (): boolean => this.#joinedAt !== null && this.#joins === join;
    this.#channel
      .push(event, payload, PUSH_TIMEOUT)
      .receive("ok", (response: unknown) => {
        if (current()) {
          calls.ok(isObject(response) ? response : {});
        }
      })
      .receive("error", (response: unknown) => {
        if (!current()) {
          return;
        }
        const error = refusal(response);
        if (error.reason === "unmatched topic") {
          this.rejoin("The server doesn't know the channel");
        } else {
          calls.refused(error);
        }
      })
      .receive("timeout", () => {
        if (current()) {
          this.rejoin(`No answer to ${event} in ${PUSH_TIMEOUT / 1000} s`);
        }
      });
    return true;
  }

  /** Tell the server what it doesn't answer, likewise. */
  tell(event: string, payload: JsonObject): void {
    if (this.#isOpen()) {
      // No reply is waited for: with no time to wait the package forgets it at once.
      this.#channel.push(event, payload, 0);
    }
  }

  /** Give the connection up and begin anew, after a while. */
  rejoin(why: string): void {
    if (this.standing.kind === "closed") {
      return;
    }
    this.#lastWords = { reason: why, code: null };
    this.#socket.disconnect();
    this.#connectIn(this.#wait());
  }

  /** Try now, unless it is joined. */
  retryNow(): void {
    if (this.standing.kind === "offline") {
      this.#socket.disconnect();
      this.#move({ nextAttemptAt: null });
      this.#connectIn(0);
    }
  }

  /** See whether the connection still is one; where there is none, try now. */
  probe(): void {
    if (this.standing.kind !== "joined") {
      this.retryNow();
      return;
    }
    clearTimeout(this.#probing);
    this.#probing = setTimeout(() => {
      if (this.standing.kind === "joined") {
        this.rejoin(`No answer in ${PROBE_TIMEOUT / 1000} s`);
      }
    }, PROBE_TIMEOUT);
    this.#socket.ping(() => {
      clearTimeout(this.#probing);
    });
  }

  #connectIn(wait: number): void {
    clearTimeout(this.#connecting);
    this.#connecting = setTimeout(() => {
      // When its page is shown again, the package connects by itself.
      if (!this.#socket.isConnected()) {
        this.#socket.disconnect();
        this.#connect();
      }
    }, wait);
  }

  #connect(): void {
    clearTimeout(this.#opening);
    this.#opening = setTimeout(() => {
      this.rejoin("The server doesn't answer");
    }, OPEN_TIMEOUT);
    try {
      this.#socket.connect();
    } catch (error) {
      // What was to give the token may do so the next time.
      this.rejoin(`The connection can't be made: ${String(error)}`);
    }
  }

  #hear(): void {
    for (const event of EVENTS) {
      this.#channel.on(event, (given: unknown) => {
        const payload = isObject(given) ? given : {};
        if (event === "flow_deleted") {
          this.#lastWords = deletion(payload["by"]);
        } else if (event === "session_ended") {
          this.#lastWords = ENDED;
        } else if (event === "replaced") {
          this.#lastWords = REPLACED;
        }
        if (this.#joinedAt !== null) {
          this.#guarded(() => {
            this.#owner.received(event, payload);
          });
        }
      });
    }
    this.#channel.onError(() => {
      this.#lost();
    });
    this.#channel.onClose(() => {
      this.#end(this.#lastWords ?? { reason: "The server closed the channel", code: "closed" });
    });
    if (this.#owner.present !== undefined) {
      const presence = new Presence(this.#channel);
      presence.onSync(() => {
        const list = presence.list((key: string, { metas }: { metas: JsonObject[] }) => ({
          key,
          metas,
        }));
        this.#owner.present?.(list);
      });
    }
  }

  #joined(response: unknown): void {
    if (this.standing.kind === "closed") {
      return;
    }
    this.#joins += 1;
    this.#joinedAt = performance.now();
    this.#hadPlace = true;
    this.#lastWords = null;
    this.#guarded(() => {
      this.#owner.joined(isObject(response) ? response : {});
    });
    if (this.#isJoined()) {
      this.#move({
        kind: "joined",
        error: null,
        failedAttempts: 0,
        isSlow: false,
        nextAttemptAt: null,
      });
    }
  }

  #isOpen(): boolean {
    return this.#joinedAt !== null && this.#socket.isConnected();
  }

  // What owners do may end the channel at once, which the type of a field doesn't show.
  #isJoined(): boolean {
    return this.#joinedAt !== null;
  }

  #guarded(take: () => void): void {
    try {
      take();
    } catch (error) {
      this.rejoin(error instanceof Error ? error.message : String(error));
    }
  }

  #cut(event: CloseEvent): void {
    if (event.code >= FIRST_FINAL_CODE) {
      this.#end({ reason: event.reason || "The server refuses this client", code: `${event.code}` });
    } else {
      this.#lost();
    }
  }

  /** The channel is no more, for now. */
  #lost(): void {
    if (this.#joinedAt === null || this.standing.kind === "closed") {
      return;
    }
    if (performance.now() - this.#joinedAt >= STABLE) {
      this.#backoff.reset();
    }
    this.#joinedAt = null;
    this.#move({ kind: "offline", error: this.#lastWords ?? LOST });
  }

  /** Draw how long to wait for the next attempt; the package asks whenever one is to come. */
  #wait(): number {
    this.#lost();
    // The end of a place that one had is no failed attempt.
    const failed = this.#hadPlace ? 0 : this.standing.failedAttempts + 1;
    this.#hadPlace = false;
    const isSlow = failed >= PATIENCE;
    const wait = isSlow ? CAP * (1 + this.#random()) : this.#backoff.next();
    this.#move({
      error: this.#lastWords ?? (failed === 0 ? LOST : UNREACHABLE),
      failedAttempts: failed,
      isSlow,
      nextAttemptAt: Date.now() + wait,
    });
    return wait;
  }

  #end(error: FlowError): void {
    if (this.standing.kind === "closed") {
      return;
    }
    this.#joinedAt = null;
    clearTimeout(this.#connecting);
    clearTimeout(this.#opening);
    clearTimeout(this.#probing);
    this.#move({ kind: "closed", error, nextAttemptAt: null });
    if (this.#channel.state !== "closed") {
      this.#channel.leave();
    }
    this.#socket.disconnect();
  }

  #move(change: Partial<Standing>): void {
    this.standing = { ...this.standing, ...change };
    this.#owner.moved(this.standing);
  }
}

function socketAddress(url: string): string {
  const address = url.replace(/^http/, "ws").replace(/\/+$/, "");
  return `${address}/socket`;
}
