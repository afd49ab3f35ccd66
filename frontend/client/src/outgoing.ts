/** One client's patches on their way: sent, and sent again until the server has answered. */

import { Backoff } from "./backoff";
import type { PushCalls } from "./membership";
import { isObject } from "./mergepatch";
import type { Operation } from "./replica";
import { Sending } from "./sending";
import type { FlowError, JsonObject } from "./types";

/** Bytes of a frame beside its payload, at most. */
const FRAME_ROOM = 2048;

/** What becomes of the operations. */
export interface OutgoingOwner {
  push(event: string, payload: JsonObject, calls: PushCalls): void;
  /** @param effective what of it counts, where that isn't all. */
  accepted(op: Operation, version: number, effective: JsonObject | undefined): void;
  refused(op: Operation, error: FlowError): void;
}

/** Takes a client's operations to the server: in order, `WINDOW` at once. */
export class Outgoing {
  readonly #owner: OutgoingOwner;
  readonly #sending = new Sending();
  readonly #retries: Backoff;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #maxFrameBytes = Infinity;
  #maySend = false;

  constructor(owner: OutgoingOwner, random: () => number) {
    this.#owner = owner;
    this.#retries = new Backoff(random);
  }

  get isEmpty(): boolean {
    return this.#sending.isEmpty;
  }

  /** Send an operation, behind all others. */
  add(op: Operation): void {
    this.#sending.add(op);
    this.#pump();
  }

  /** Send everything, from the first on: the server's channel is a new one. */
  resume(limits: unknown): void {
    const limit = isObject(limits) ? limits["max_frame_bytes"] : undefined;
    this.#maxFrameBytes = typeof limit === "number" ? limit : Infinity;
    this.pause();
    this.#maySend = true;
    this.#sending.restart();
    this.#pump();
  }

  /** Send nothing: there is no channel. */
  pause(): void {
    this.#maySend = false;
    clearTimeout(this.#retry);
    this.#retry = undefined;
  }

  /** Be done with an operation. */
  settle(op: Operation): void {
    this.#sending.settle(op.opId);
    this.#pump();
  }

  #pump(): void {
    for (let next = this.#next(); next !== null; next = this.#next()) {
      const { op, attempt } = next;
      const payload = { op_id: op.opId, patch: op.patch };
      if (sizeOf(payload) + FRAME_ROOM > this.#maxFrameBytes) {
        // The server would close the connection, every time.
        this.#refuse(op, { reason: "The change is too large", code: "patch_too_large" });
        continue;
      }
      this.#owner.push("patch", payload, {
        ok: (response) => {
          this.#accepted(op, response);
        },
        refused: (error) => {
          this.#failed(op, attempt, error);
        },
      });
    }
  }

  #next(): { op: Operation; attempt: number } | null {
    return this.#maySend ? this.#sending.take() : null;
  }

  #accepted(op: Operation, response: JsonObject): void {
    const { version, patch } = response;
    this.#retries.reset();
    this.#sending.settle(op.opId);
    this.#owner.accepted(op, Number(version), isObject(patch) ? patch : undefined);
    this.#pump();
  }

  #failed(op: Operation, attempt: number, error: FlowError & { retry: boolean }): void {
    if (!this.#sending.isNewest(op.opId, attempt)) {
      return;
    }
    if (!error.retry) {
      this.#refuse(op, { reason: error.reason, code: error.code });
      this.#pump();
      return;
    }
    this.#sending.hold(op.opId);
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      this.#sending.resume();
      this.#pump();
    }, this.#retries.next());
  }

  #refuse(op: Operation, error: FlowError): void {
    this.#sending.settle(op.opId);
    this.#owner.refused(op, error);
  }
}

function sizeOf(payload: JsonObject): number {
  return new TextEncoder().encode(JSON.stringify(payload)).length;
}
