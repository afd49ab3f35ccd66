/** A server of one flow, as docs/protocol.md has it, in the memory of a test. */

import { apply, emptyDocument, stage } from "../src/document";
import { isEmpty, isObject } from "../src/mergepatch";
import type { FlowDocument, FlowEntry, JsonObject } from "../src/types";
import type { Network, Wire } from "./network";

export type Frame = [string | null, string | null, string, string, JsonObject];

interface Channel {
  wire: Wire;
  joinRef: string | null;
  topic: string;
  clientId: string;
  failedOp: number | null;
}

/** What the server does with a patch instead of taking it; `null` for what it should. */
export type Mood = (clientId: string, opId: number, patch: JsonObject) => Refused | null;

interface Refused {
  reason: string;
  code: string;
  retry: boolean;
}

/** The log, and who listens. It judges patches by the rules of `src/document.ts`. */
export class FlowServer {
  epoch = "epoch1";
  document: FlowDocument = emptyDocument();
  readonly log: FlowEntry[] = [];
  /** Each frame that came, with its connection's number. */
  readonly heard: { wire: number; frame: Frame }[] = [];
  mood: Mood = () => null;
  /** What a join is answered instead; `null` for what it should. */
  joinMood: () => (Refused & { close?: boolean }) | null = () => null;
  limits: JsonObject = { max_frame_bytes: 1024 * 1024 };
  readonly #channels = new Map<Wire, Channel>();

  constructor(network: Network) {
    network.serve({
      received: (wire, text) => {
        this.#receive(wire, JSON.parse(text) as Frame);
      },
      closed: (wire) => {
        this.#channels.delete(wire);
      },
    });
  }

  get version(): number {
    return this.log.length;
  }

  /** Append what somebody else has changed. */
  edit(patch: JsonObject, clientId: string | null = null, opId: number | null = null): void {
    const effective = stage(this.document, patch);
    if (!isEmpty(effective)) {
      this.#append(effective, clientId, opId);
    }
  }

  /** Send all members a frame. */
  broadcast(event: string, payload: JsonObject): void {
    for (const { wire, topic } of this.#channels.values()) {
      wire.send([null, null, topic, event, payload]);
    }
  }

  /** End all channels by `phx_close`, or by `phx_error`. */
  end(event: "phx_close" | "phx_error"): void {
    for (const { wire, joinRef, topic } of [...this.#channels.values()]) {
      this.#channels.delete(wire);
      wire.send([joinRef, joinRef, topic, event, {}]);
    }
  }

  /** Forget the channels, as a server does that has lost its memory, and say nothing. */
  forget(): void {
    this.#channels.clear();
  }

  get memberIds(): string[] {
    return [...this.#channels.values()].map(({ clientId }) => clientId);
  }

  heardEvents(event: string): JsonObject[] {
    return this.heard.filter(({ frame }) => frame[3] === event).map(({ frame }) => frame[4]);
  }

  #receive(wire: Wire, frame: Frame): void {
    const [joinRef, ref, topic, event, payload] = frame;
    this.heard.push({ wire: wire.number, frame });
    const reply = (status: "ok" | "error", response: JsonObject): void => {
      wire.send([joinRef, ref, topic, "phx_reply", { status, response }]);
    };
    const channel = this.#channels.get(wire);
    if (event === "heartbeat") {
      reply("ok", {});
    } else if (event === "phx_join") {
      this.#join(wire, frame, reply);
    } else if (event === "phx_leave") {
      this.#channels.delete(wire);
      reply("ok", {});
    } else if (channel === undefined) {
      wire.send([
        null,
        ref,
        topic,
        "phx_reply",
        { status: "error", response: { reason: "unmatched topic" } },
      ]);
    } else if (event === "patch") {
      this.#patch(channel, payload, reply);
    } else if (event !== "cursor") {
      reply("ok", {});
    }
  }

  #join(
    wire: Wire,
    [joinRef, , topic, , payload]: Frame,
    reply: (status: "ok" | "error", response: JsonObject) => void,
  ): void {
    const refused = this.joinMood();
    if (refused !== null) {
      const { close, ...response } = refused;
      reply("error", response);
      if (close === true) {
        wire.send([joinRef, joinRef, topic, "phx_close", {}]);
      }
      return;
    }
    const clientId = String(payload["client_id"]);
    this.#channels.set(wire, { wire, joinRef, topic, clientId, failedOp: null });
    const { epoch, version } = payload;
    const resumes = epoch === this.epoch && Number(version) <= this.version;
    reply("ok", {
      client_id: clientId,
      epoch: this.epoch,
      version: this.version,
      role: "editor",
      recovered: resumes,
      limits: this.limits,
      ...(resumes
        ? { entries: this.log.slice(Number(version)) }
        : { document: this.document }),
    });
  }

  #patch(
    channel: Channel,
    payload: JsonObject,
    reply: (status: "ok" | "error", response: JsonObject) => void,
  ): void {
    const opId = Number(payload["op_id"]);
    const patch = payload["patch"];
    if (!isObject(patch)) {
      throw new TypeError("a patch is an object");
    }
    if (channel.failedOp !== null && opId > channel.failedOp) {
      reply("error", { reason: "An earlier one", code: "out_of_order", retry: true });
      return;
    }
    channel.failedOp = null;
    const refused = this.mood(channel.clientId, opId, patch);
    if (refused !== null) {
      channel.failedOp = refused.retry ? opId : null;
      reply("error", { ...refused });
      return;
    }
    this.#take(channel.clientId, opId, patch, reply);
  }

  #take(
    clientId: string,
    opId: number,
    patch: JsonObject,
    reply: (status: "ok" | "error", response: JsonObject) => void,
  ): void {
    const own = this.log.filter((entry) => entry.client_id === clientId);
    const held = own.find((entry) => entry.op_id === opId);
    if (held !== undefined) {
      reply("ok", { version: held.version, patch: held.patch });
      return;
    }
    if (own.some((entry) => Number(entry.op_id) > opId)) {
      reply("ok", { version: this.version, patch: {} });
      return;
    }
    let effective: JsonObject;
    try {
      effective = stage(this.document, patch);
    } catch (error) {
      reply("error", { reason: String(error), code: "invalid_patch", retry: false });
      return;
    }
    if (!isEmpty(effective)) {
      this.#append(effective, clientId, opId);
    }
    reply("ok", { version: this.version, patch: effective });
  }

  #append(patch: JsonObject, client_id: string | null, op_id: number | null): void {
    this.document = apply(this.document, patch);
    const entry = { version: this.version + 1, client_id, op_id, patch, by: "", at: 0 };
    this.log.push(entry);
    this.broadcast("entries", { entries: [entry] });
  }
}
