/** A client's membership in a flow: connects, joins, and does so again whenever it is lost. */

import { type Channel, Presence, Socket, type SocketConnectOption } from "phoenix";

import { deletion, ENDED, FORBIDDEN, LOST, refusal, REPLACED, revocation, UNREACHABLE } from "../model/errors.js";
import { isObject } from "../model/mergepatch.js";
import { Parts } from "../model/parts.js";
import type { FlowError, JsonObject } from "../types.js";
import { Attempts, type AttemptsOptions } from "./attempts.js";
import { Backoff, CAP } from "./backoff.js";
import { Heartbeat } from "./heartbeat.js";
import { transportOver, type WebSocketMaker } from "./transport.js";

/** Milliseconds for the answer to a push; the server answers once the store has or has failed. */
export const PUSH_TIMEOUT = 30_000;

/** Milliseconds for the answer to a join, counted from the last part of the answer. */
const JOIN_TIMEOUT = 60_000;

/** The most milliseconds that `setTimeout` can wait. */
const NEVER = 2 ** 31 - 1;

/** Milliseconds after which a join counts as stable. */
const STABLE = 10_000;

/** Failed attempts after which further ones come slowly. */
export const PATIENCE = 10;

/** From this close code on, a client must not come back. */
const FIRST_FINAL_CODE = 4500;

/** A client's connection state. */
export interface Standing {
  kind: "offline" | "joined" | "closed";
  /** Whether it seems joined, but the server was asked and hasn't answered yet. */
  isInDoubt: boolean;
  error: FlowError | null;
  failedAttempts: number;
  isSlow: boolean;
  nextAttemptAt: number | null;
}

/** The state before the first attempt. */
export const ON_THE_WAY: Standing = {
  kind: "offline",
  isInDoubt: false,
  error: null,
  failedAttempts: 0,
  isSlow: false,
  nextAttemptAt: null,
};

/** The owner of a membership. */
export interface MembershipOwner {
  /** Give the parameters of the next join. */
  parameters(): JsonObject;
  /** Take the response to a join. If it is impossible, throw: the client joins again. */
  joined(response: JsonObject): void;
  /** Take an event; the same applies. */
  received(event: string, payload: JsonObject): void;
  /** The standing has changed. */
  moved(standing: Standing): void;
  /** Take the members by key, as Phoenix's `Presence` lists them. */
  present?(list: { key: string; metas: JsonObject[] }[]): void;
}

export interface MembershipOptions extends AttemptsOptions {
  topic: string;
  webSocket?: WebSocketMaker | undefined;
  random: () => number;
}

/** Callbacks of a push. If its channel ends first, none is called. */
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
  "role",
  "access_revoked",
  "token_expiring",
];

/** Keeps a client joined to a topic, with the stock `phoenix` package, over its own socket. */
export class Membership {
  standing = ON_THE_WAY;
  readonly #owner: MembershipOwner;
  readonly #random: () => number;
  readonly #backoff: Backoff;
  readonly #socket: Socket;
  readonly #channel: Channel;
  readonly #heartbeat: Heartbeat;
  readonly #attempts: Attempts;
  #joinedAt: number | null = null;
  #hadPlace = false;
  /** Counts the joins: answers to pushes of an earlier join are ignored. */
  #joins = 0;
  #lastWords: FlowError | null = null;
  /** Set while a join is unanswered. */
  #joining: ReturnType<typeof setTimeout> | undefined;
  readonly #parts = new Parts();

  constructor(options: MembershipOptions, owner: MembershipOwner) {
    this.#owner = owner;
    this.#random = options.random;
    this.#backoff = new Backoff(options.random);
    this.#attempts = new Attempts(options, {
      connect: () => {
        this.#socket.connect();
      },
      again: () => {
        this.#connect();
      },
      failed: (why) => {
        this.rejoin(why);
      },
      explained: (error) => {
        if (this.standing.kind === "offline") {
          this.#move({ error });
        }
      },
    });
    this.#heartbeat = new Heartbeat({
      ask: (answered) => {
        this.#socket.ping(answered);
      },
      doubted: () => {
        if (this.standing.kind === "joined") {
          this.#move({ isInDoubt: this.#heartbeat.isInDoubt });
        }
      },
      dead: (silence) => {
        this.rejoin(`No answer in ${silence / 1000} s`);
      },
    });
    const settings: Partial<SocketConnectOption> = {
      transport: transportOver(options.webSocket ?? globalThis.WebSocket, {
        token: () => this.#attempts.token ?? null,
        opened: () => {
          this.#attempts.opened();
          this.#heartbeat.start();
          this.#awaitJoin();
        },
        heard: () => {
          this.#heartbeat.heard();
        },
        closed: (code, reason) => {
          this.#cut(code, reason);
        },
      }),
      // This class decides when to try again: the package doesn't connect while its page is hidden, and
      // unsent changes must not wait for that.
      reconnectAfterMs: () => NEVER,
      rejoinAfterMs: () => this.#wait(),
    };
    this.#socket = new Socket(socketAddress(options.url), settings);
    this.#channel = this.#socket.channel(options.topic, () => this.#parameters());
    this.#hear();
  }

  start(): void {
    this.#channel
      .join(NEVER)
      .receive("ok", (response: unknown) => {
        this.#joined(response);
      })
      .receive("error", (response: unknown) => {
        const error = refusal(response);
        this.#lastWords = error;
        this.#isAnswered();
        if (error.retry) {
          this.#move({ error });
        } else {
          this.#end(error);
        }
      });
    this.#connect();
  }

  /** Leave. Earlier pushes still go out. */
  stop(): void {
    this.#end({ reason: "The client was stopped", code: "client_stopped" });
  }

  /**
   * Push an event. If the client isn't joined, or the connection is closing, nothing happens: the package
   * would keep the push, and send it before earlier pushes that are sent again.
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

  /** Send an event that the server doesn't answer, by the same rule. */
  tell(event: string, payload: JsonObject): void {
    if (this.#isOpen()) {
      // There is no reply: with a timeout of 0 the package forgets the push at once.
      this.#channel.push(event, payload, 0);
    }
  }

  /** Give up the connection, and connect again after a while. */
  rejoin(why: string): void {
    if (this.standing.kind !== "closed") {
      this.#lastWords = { reason: why, code: null };
      this.#broken();
    }
  }

  /** Try now, unless it is joined. */
  retryNow(): void {
    if (this.standing.kind === "offline") {
      this.#move({ nextAttemptAt: null });
      this.#connect();
    }
  }

  /** Check whether the connection is alive; without one, connect now. */
  probe(): void {
    if (this.standing.kind === "joined" || (this.#joining !== undefined && this.#socket.isConnected())) {
      this.#heartbeat.probe();
    } else if (!this.#attempts.isFresh) {
      this.retryNow();
    }
  }

  #connect(): void {
    this.#disconnect();
    this.#attempts.begin();
  }

  #disconnect(): void {
    this.#isAnswered();
    this.#heartbeat.stop();
    this.#socket.disconnect();
  }

  /** The connection is lost, or never existed: try again after a while. */
  #broken(): void {
    this.#lost();
    this.#disconnect();
    if (!this.#attempts.isWaiting && this.standing.kind !== "closed") {
      const wait = this.#wait();
      this.#attempts.later(wait, this.standing.failedAttempts);
    }
  }

  #parameters(): JsonObject {
    this.#parts.clear();
    this.#awaitJoin();
    return { ...this.#owner.parameters(), parts: true };
  }

  #isAnswered(): void {
    clearTimeout(this.#joining);
    this.#joining = undefined;
  }

  #awaitJoin(): void {
    clearTimeout(this.#joining);
    this.#joining = setTimeout(() => {
      this.rejoin(`No answer to the join in ${JOIN_TIMEOUT / 1000} s`);
    }, JOIN_TIMEOUT);
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
        } else if (event === "access_revoked") {
          this.#lastWords = revocation(payload["reason"]);
        } else if (event === "token_expiring") {
          this.#renew();
        }
        if (this.#joinedAt !== null) {
          this.#guarded(() => {
            this.#owner.received(event, payload);
          });
        }
      });
    }
    this.#channel.on("part", (part: unknown) => {
      if (this.#joining !== undefined && isObject(part)) {
        this.#parts.add(part);
        this.#awaitJoin();
      }
    });
    this.#channel.onError(() => {
      this.#lost();
      if (!this.#socket.isConnected()) {
        // The package itself also closes it when the page is left; the page may come back.
        this.#broken();
      }
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
    this.#isAnswered();
    this.#joins += 1;
    this.#joinedAt = performance.now();
    this.#hadPlace = true;
    this.#lastWords = null;
    this.#guarded(() => {
      this.#owner.joined(this.#parts.whole(response));
    });
    if (this.#isJoined()) {
      this.#move({
        kind: "joined",
        isInDoubt: this.#heartbeat.isInDoubt,
        error: null,
        failedAttempts: 0,
        isSlow: false,
        nextAttemptAt: null,
      });
    }
  }

  /** Show the server a new token on the open connection. Without one, the next connection has it. */
  #renew(): void {
    void this.#attempts.renewed().then((token) => {
      if (token !== null) {
        this.push("access_token", { access_token: token }, {
          ok: () => undefined,
          refused: ({ code }) => {
            if (code === FORBIDDEN) {
              this.rejoin("The token is another person's");
            }
          },
        });
      }
    });
  }

  #isOpen(): boolean {
    return this.#joinedAt !== null && this.#socket.isConnected();
  }

  // An owner may end the channel at once; a field's narrowed type would hide that.
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

  #cut(code: number, reason: string): void {
    if (code >= FIRST_FINAL_CODE) {
      this.#end({ reason: reason || "The server refuses this client", code: `${code}` });
    } else {
      this.#broken();
    }
  }

  /** The channel is lost for now. */
  #lost(): void {
    if (this.#joinedAt === null || this.standing.kind === "closed") {
      return;
    }
    if (performance.now() - this.#joinedAt >= STABLE) {
      this.#backoff.reset();
    }
    this.#joinedAt = null;
    this.#move({ kind: "offline", isInDoubt: false, error: this.#lastWords ?? LOST });
  }

  /** Draw the wait until the next attempt. The package asks before each one. */
  #wait(): number {
    this.#lost();
    // The end of a successful join isn't a failed attempt.
    const failed = this.#hadPlace ? 0 : this.standing.failedAttempts + 1;
    this.#hadPlace = false;
    const isSlow = failed >= PATIENCE;
    const wait = isSlow ? CAP * (1 + this.#random()) : this.#backoff.next();
    this.#move({
      error: this.#attempts.why ?? this.#lastWords ?? (failed === 0 ? LOST : UNREACHABLE),
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
    this.#attempts.stop();
    this.#move({ kind: "closed", isInDoubt: false, error, nextAttemptAt: null });
    if (this.#channel.state !== "closed") {
      this.#channel.leave();
    }
    this.#disconnect();
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
