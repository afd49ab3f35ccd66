/** A server of one flow, as docs/protocol.md has it, in the memory of a test. */

import { type Bases, withOthers } from "../src/model/bases";
import { apply, emptyDocument, stage } from "../src/model/document";
import { publicId } from "../src/model/ids";
import { isEmpty, isObject } from "../src/model/mergepatch";
import { sizeOf } from "../src/model/split";
import type { FlowDocument, FlowEntry, JsonObject } from "../src/types";
import type { Frame, Network, Wire } from "./network";

interface Channel {
  wire: Wire;
  joinRef: string | null;
  topic: string;
  /** What others call it. */
  clientId: string;
  failedOp: number | null;
}

/**
 * What the server does with a patch instead of taking it; `null` for what it should. Clients are named as
 * others call them.
 */
export type Mood = (clientId: string, opId: number, patch: JsonObject) => Refused | null;

interface Refused {
  reason: string;
  code: string;
  retry: boolean;
}

const FORBIDDEN: Refused = { reason: "This needs the role editor, and you are viewer", code: "forbidden", retry: false };

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
  limits: JsonObject = { max_frame_bytes: 1024 * 1024, max_patch_bytes: 256 * 1024 };
  /** What a new token is answered instead; `null` for what it should. */
  tokenMood: () => Refused | null = () => null;
  /** What members may do: the answer to a join has it. */
  rights: JsonObject = { role: "editor" };
  /** Whether joins that resume are answered by the whole document. */
  isWhole = false;
  readonly #chains = new WeakMap<FlowEntry, string>();
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

  /** What the log comes to up to a version. */
  chain(version: number): string {
    const entry = this.log[version - 1];
    if (entry === undefined) {
      return linked(this.epoch, null);
    }
    const known = this.#chains.get(entry) ?? linked(this.chain(version - 1), entry);
    this.#chains.set(entry, known);
    return known;
  }

  /** Append what somebody else has changed. */
  edit(patch: JsonObject, by = "", clientId: string | null = null): void {
    const effective = stage(this.document, patch);
    if (!isEmpty(effective)) {
      this.#append({ client_id: clientId, op_id: null, patch: effective, by });
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

  /** Change what members may do, and tell them. */
  grant(rights: JsonObject): void {
    this.rights = rights;
    this.broadcast("role", rights);
  }

  /** Let members no longer see the flow. */
  revoke(): void {
    this.joinMood = () => ({ reason: "There is no such flow", code: "flow_not_found", retry: false, close: true });
    this.broadcast("access_revoked", { reason: "You no longer have access to this flow" });
    this.end("phx_close");
  }

  /** Close all connections with a code. */
  close(code: number): void {
    for (const { wire } of [...this.#channels.values()]) {
      wire.close(code);
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
      const refused = event === "access_token" ? this.tokenMood() : null;
      reply(refused === null ? "ok" : "error", { ...refused });
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
    const clientId = publicId(String(payload["client_id"]));
    this.#replace(clientId);
    this.#channels.set(wire, { wire, joinRef, topic, clientId, failedOp: null });
    const { epoch, version, chain } = payload;
    const resumes =
      !this.isWhole &&
      epoch === this.epoch &&
      Number(version) <= this.version &&
      chain === this.chain(Number(version));
    const own = this.log.filter((entry) => entry.client_id === clientId);
    const numbers = own.map(({ op_id }) => Number(op_id));
    const whole = {
      client_id: clientId,
      epoch: this.epoch,
      version: this.version,
      chain: this.chain(this.version),
      last_op_id: numbers.length === 0 ? null : Math.max(...numbers),
      ...this.rights,
      recovered: resumes,
      limits: this.limits,
      ...(resumes
        ? { entries: this.log.slice(Number(version)) }
        : { document: this.document }),
    };
    const text = JSON.stringify(whole);
    if (payload["parts"] !== true || text.length <= 65_536) {
      reply("ok", whole);
      return;
    }
    const parts = Math.ceil(text.length / 32_768);
    for (let n = 0; n < parts; n += 1) {
      wire.send([joinRef, null, topic, "part", { text: text.slice(32_768 * n, 32_768 * (n + 1)) }]);
    }
    reply("ok", { parts });
  }

  /** Let go of the place of a client that is back over another connection. */
  #replace(clientId: string): void {
    for (const { wire, joinRef, topic } of this.#of(clientId)) {
      this.#channels.delete(wire);
      wire.send([joinRef, null, topic, "replaced", {}]);
      wire.send([joinRef, joinRef, topic, "phx_close", {}]);
    }
  }

  #of(clientId: string): Channel[] {
    return [...this.#channels.values()].filter((channel) => channel.clientId === clientId);
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
    const mayEdit = this.rights["role"] === "editor";
    const refused = mayEdit ? this.mood(channel.clientId, opId, patch) : FORBIDDEN;
    if (refused !== null) {
      channel.failedOp = refused.retry ? opId : null;
      reply("error", { ...refused });
      return;
    }
    const bases = (payload["bases"] ?? {}) as Bases;
    const tags = payload["tags"] as JsonObject | undefined;
    this.#take(channel.clientId, opId, patch, bases, payload["if_version"], tags, reply);
  }

  #take(
    clientId: string,
    opId: number,
    patch: JsonObject,
    bases: Bases,
    ifVersion: unknown,
    tags: JsonObject | undefined,
    reply: (status: "ok" | "error", response: JsonObject) => void,
  ): void {
    const held = this.log.find((one) => one.client_id === clientId && one.op_id === opId);
    if (held !== undefined) {
      const { version, dropped = [] } = held;
      reply("ok", { version, patch: held.patch, dropped, duplicate: true });
      return;
    }
    if (ifVersion !== undefined && ifVersion !== this.version) {
      reply("error", { reason: "At another", code: "precondition_failed", retry: false });
      return;
    }
    const { max_patch_bytes: most } = this.limits;
    if (typeof most === "number" && sizeOf(patch) > most) {
      reply("error", { reason: "The patch is too large", code: "patch_too_large", retry: false });
      return;
    }
    let effective: JsonObject;
    try {
      effective = stage(this.document, withOthers(this.document, patch, bases).patch);
    } catch (error) {
      reply("error", { reason: String(error), code: "invalid_patch", retry: false });
      return;
    }
    const dropped = droppedOf(this.document, patch, effective);
    if (!isEmpty(effective)) {
      this.#append({
        client_id: clientId,
        op_id: opId,
        patch: effective,
        by: "",
        ...(dropped.length === 0 ? {} : { dropped }),
        ...(tags === undefined ? {} : { tags }),
      });
    }
    reply("ok", { version: this.version, patch: effective, dropped });
  }

  #append(made: Omit<FlowEntry, "version" | "at">): void {
    this.document = apply(this.document, made.patch);
    const entry = { version: this.version + 1, at: 0, ...made };
    this.log.push(entry);
    this.broadcast("entries", { entries: [entry], chain: this.chain(this.version) });
  }
}

/** Go on with a chain by an entry. */
function linked(chain: string, entry: FlowEntry | null): string {
  return publicId(chain + JSON.stringify(entry)).slice(0, 11);
}

/** List which nodes and edges of a patch the document could not take. */
function droppedOf(document: FlowDocument, patch: JsonObject, effective: JsonObject): string[] {
  return (["nodes", "edges"] as const).flatMap((kind) => {
    const [asked, taken] = [patch[kind] ?? {}, effective[kind] ?? {}];
    return Object.entries(asked)
      .filter(([id, value]) => value !== null && !Object.hasOwn(taken, id))
      .filter(([id]) => !Object.hasOwn(document[kind], id))
      .map(([id]) => `/${kind}/${id}`);
  });
}
