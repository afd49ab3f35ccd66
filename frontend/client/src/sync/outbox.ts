/** One client's outbox: sends operations, and sends them again until the server has answered. */

import { FORBIDDEN } from "../model/errors.js";
import { isEmpty, isObject, own } from "../model/mergepatch.js";
import type { Operation } from "../model/replica.js";
import { largest, sizeOf, split } from "../model/split.js";
import type { FlowError, JsonObject } from "../types.js";
import { Backoff } from "./backoff.js";
import type { PushCalls } from "./membership.js";
import { SendQueue } from "./sendqueue.js";

/** The most bytes of a frame besides its payload. */
const FRAME_ROOM = 2048;

/** The server's answer to an accepted operation. */
export interface Acceptance {
  version: number;
  /** Its effective patch, if it differs. */
  effective: JsonObject | undefined;
  /** JSON Pointers of its dropped parts. */
  dropped: readonly string[];
}

/** Hears what becomes of the operations. */
export interface OutboxOwner {
  /** @returns whether it went out. */
  push(event: string, payload: JsonObject, calls: PushCalls): boolean;
  accepted(op: Operation, acceptance: Acceptance): void;
  refused(op: Operation, error: FlowError): void;
  /** The server can't take changes for now: they are sent again later. */
  delayed(error: FlowError): void;
  /** This client may not make changes now, though it should be allowed to: they are held back, and tried again. */
  forbidden(error: FlowError): void;
  /** Make operations of these patches, in place of one that is too large. */
  split(op: Operation, patches: readonly JsonObject[]): Operation[];
}

/** Sends a client's operations: in order, at most `WINDOW` unanswered at once. */
export class Outbox {
  readonly #owner: OutboxOwner;
  readonly #queue = new SendQueue();
  readonly #retries: Backoff;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #maxFrameBytes = Infinity;
  #maxPatchBytes = Infinity;
  #maySend = false;
  #isWaiting = false;
  #isAllowed = true;

  constructor(owner: OutboxOwner, random: () => number) {
    this.#owner = owner;
    this.#retries = new Backoff(random);
  }

  get isEmpty(): boolean {
    return this.#queue.isEmpty;
  }

  /** Send an operation after all others. */
  add(op: Operation): void {
    this.#queue.add(op);
    this.pump();
  }

  /** Send everything again: the server's channel is new. */
  resume(limits: unknown): void {
    this.#maxFrameBytes = limit(limits, "max_frame_bytes");
    this.#maxPatchBytes = limit(limits, "max_patch_bytes");
    this.pause();
    this.#maySend = true;
    this.#queue.restart();
    this.pump();
  }

  /** Send nothing, because there is no channel. */
  pause(): void {
    this.#maySend = false;
    clearTimeout(this.#retry);
    this.#retry = undefined;
  }

  /** Send nothing new while other operations must come first. */
  wait(isWaiting: boolean): void {
    this.#isWaiting = isWaiting;
    this.pump();
  }

  /** Send nothing while this client may not make changes. */
  allow(isAllowed: boolean): void {
    this.#isAllowed = isAllowed;
    this.pump();
  }

  /** Finish operations. */
  settle(...ops: readonly Operation[]): void {
    for (const op of ops) {
      this.#queue.settle(op);
    }
    this.pump();
  }

  /** Send what may be sent now. */
  pump(): void {
    for (let next = this.#next(); next !== null; next = this.#next()) {
      this.#send(next.op, next.attempt);
    }
  }

  #next(): { op: Operation; attempt: number } | null {
    return this.#maySend && this.#isAllowed && !this.#isWaiting ? this.#queue.take() : null;
  }

  #send(op: Operation, attempt: number): void {
    const bare = {
      op_id: op.opId,
      patch: op.patch,
      ...(op.ifVersion === null ? {} : { if_version: op.ifVersion }),
      ...(isEmpty(op.tags) ? {} : { tags: op.tags }),
    };
    const room = FRAME_ROOM + (isEmpty(op.tags) ? 0 : sizeOf(op.tags));
    const most = Math.min(this.#maxPatchBytes, this.#maxFrameBytes - room);
    if (sizeOf(op.patch) > most) {
      // The server would refuse it, or close the connection, every time.
      if (!this.#splits(op, most)) {
        const { path, bytes } = largest(op.patch);
        const reason = `${path}: it takes ${bytes} bytes, and a change at most ${most}`;
        this.#refuse(op, { reason, code: "patch_too_large" });
      }
      return;
    }
    const whole = isEmpty(op.bases) ? bare : { ...bare, bases: op.bases };
    const payload = sizeOf(whole) + FRAME_ROOM > this.#maxFrameBytes ? bare : whole;
    const isOut = this.#owner.push("patch", payload, {
      ok: (response) => {
        this.#accepted(op, response);
      },
      refused: (error) => {
        this.#failed(op, attempt, error);
      },
    });
    if (isOut) {
      op.isSent = true;
    } else {
      this.#maySend = false;
    }
  }

  #splits(op: Operation, maxBytes: number): boolean {
    const patches = split(op.patch, maxBytes, op.inverse);
    if (patches.length < 2) {
      return false;
    }
    this.#queue.replace(op, this.#owner.split(op, patches));
    return true;
  }

  #accepted(op: Operation, { version, patch, dropped }: JsonObject): void {
    this.#retries.reset();
    this.#queue.settle(op);
    this.#owner.accepted(op, {
      version: Number(version),
      effective: isObject(patch) ? patch : undefined,
      dropped: pointers(dropped),
    });
    this.pump();
  }

  #failed(op: Operation, attempt: number, error: FlowError & { retry: boolean }): void {
    if (!this.#queue.isNewest(op, attempt)) {
      return;
    }
    if (error.code === FORBIDDEN) {
      this.#owner.forbidden({ reason: error.reason, code: error.code });
    } else if (!error.retry) {
      this.#refuse(op, { reason: error.reason, code: error.code });
      this.pump();
      return;
    } else {
      this.#owner.delayed({ reason: error.reason, code: error.code });
    }
    this.#queue.hold(op);
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      this.#queue.resume();
      this.pump();
    }, this.#retries.next());
  }

  #refuse(op: Operation, error: FlowError): void {
    this.#queue.settle(op);
    this.#owner.refused(op, error);
  }
}

/** Read the JSON Pointers of what was dropped. */
export function pointers(given: unknown): readonly string[] {
  return Array.isArray(given) ? given.filter((one) => typeof one === "string") : [];
}

function limit(limits: unknown, name: string): number {
  const given = isObject(limits) ? own(limits, name) : undefined;
  return typeof given === "number" ? given : Infinity;
}
