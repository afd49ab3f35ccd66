/** `FlowSync`: one flow, held in step with its server; no React in it. */

import { Awareness } from "./awareness";
import { Changes } from "./changes";
import { Couriers } from "./couriers";
import { newId, secureRandom } from "./ids";
import { BrowserKeeper, NoKeeper } from "./keeper";
import { Membership, type MembershipOptions, type Standing } from "./membership";
import { isObject } from "./mergepatch";
import { Outgoing } from "./outgoing";
import { Gap, type Operation, Replica } from "./replica";
import type {
  Cursor,
  FlowDocument,
  FlowEntry,
  FlowError,
  FlowEvent,
  FlowKeeper,
  FlowState,
  FlowStatus,
  FlowSyncOptions,
  GatherOptions,
  JsonObject,
  PresenceMeta,
  Refusal,
  SyncedFlow,
} from "./types";

/** Milliseconds until a confirmed document is kept. */
const KEEP_AFTER = 2000;

/** Milliseconds between looks for what pages that are gone have left. */
const LOOK_AGAIN = 30_000;

const ON_THE_WAY: Standing = {
  kind: "offline",
  error: null,
  failedAttempts: 0,
  isSlow: false,
  nextAttemptAt: null,
};

/** Joins a flow and stays in it; what that means is said at `SyncedFlow`. */
export class FlowSync implements SyncedFlow {
  readonly flowId: string;
  readonly clientId: string;
  readonly #options: FlowSyncOptions;
  readonly #random: () => number;
  readonly #keeper: FlowKeeper;
  readonly #replica = new Replica();
  readonly #changes: Changes;
  readonly #outgoing: Outgoing;
  readonly #couriers: Couriers;
  readonly #awareness: Awareness;
  readonly #listeners = new Set<() => void>();
  readonly #eventListeners = new Set<(event: FlowEvent) => void>();
  #membership: Membership | null = null;
  #standing: Standing = ON_THE_WAY;
  #wasIn = false;
  #limits: unknown;
  #role: string | null = null;
  #namesChanged = 0;
  #refusals: readonly Refusal[] = [];
  #state: FlowState;
  /** Counts the starts: what an earlier one has begun is given up. */
  #life = 0;
  #release: (() => void) | null = null;
  #look: ReturnType<typeof setInterval> | undefined;
  #keeping: ReturnType<typeof setTimeout> | undefined;

  constructor(flowId: string, options: FlowSyncOptions = {}) {
    this.flowId = flowId;
    this.#options = options;
    this.#random = options.random ?? secureRandom;
    this.clientId = newId(this.#random);
    this.#keeper =
      options.keeper === undefined ? new BrowserKeeper() : (options.keeper ?? new NoKeeper());
    const settled = {
      accepted: (op: Operation, version: number, effective: JsonObject | undefined) => {
        this.#accepted(op, version, effective);
      },
      refused: (op: Operation, error: FlowError) => {
        this.#refused(op, error);
      },
    };
    this.#outgoing = new Outgoing(
      { ...settled, push: (...push) => this.#membership?.push(...push) },
      this.#random,
    );
    this.#changes = new Changes(this.clientId, this.#replica, {
      keep: ({ clientId, opId, patch }) => {
        this.#keeper.put(flowId, { clientId, opId, patch });
      },
      send: (op) => {
        this.#outgoing.add(op);
      },
      changed: () => {
        this.#refresh();
      },
    });
    this.#couriers = new Couriers(flowId, this.#keeper, this.#replica, this.#address(), {
      ...settled,
      parameters: (clientId) => this.#parameters(clientId),
    });
    this.#awareness = new Awareness(this.clientId, {
      tell: (event, payload) => {
        this.#tellOf(event, payload);
      },
      changed: () => {
        this.#refresh();
      },
    });
    this.#state = this.#snapshot();
  }

  get state(): FlowState {
    return this.#state;
  }

  // the beginning and the end

  start(): void {
    this.#life += 1;
    this.#standing = ON_THE_WAY;
    void this.#open(this.#life);
    this.#attend("addEventListener");
    this.#refresh();
  }

  stop(): void {
    this.#life += 1;
    this.#attend("removeEventListener");
    clearInterval(this.#look);
    this.#hide();
    this.#awareness.stop();
    this.#couriers.stop();
    this.#membership?.stop();
    this.#membership = null;
    this.#release?.();
    this.#release = null;
  }

  async #open(life: number): Promise<void> {
    const release = await this.#keeper.hold(this.flowId, this.clientId);
    const kept = await this.#keeper.load(this.flowId);
    if (life !== this.#life) {
      release?.();
      return;
    }
    this.#release = release;
    if (this.#replica.confirmed === null && kept.document !== null) {
      const { epoch, version, document } = kept.document;
      this.#replica.adopt(epoch, version, document);
    }
    await this.#adoptOrphans(kept.operations.map(({ clientId }) => clientId));
    if (life !== this.#life) {
      return;
    }
    this.#refresh();
    this.#membership = new Membership(this.#address(), {
      parameters: () => this.#parameters(this.clientId),
      joined: (response) => {
        this.#trusting(() => {
          this.#joined(response);
        });
      },
      received: (event, payload) => {
        this.#trusting(() => {
          this.#received(event, payload);
        });
      },
      moved: (standing) => {
        this.#moved(standing);
      },
      present: (list) => {
        this.#awareness.present(list);
      },
    });
    this.#membership.start();
    this.#look = setInterval(() => void this.#lookForOrphans(), LOOK_AGAIN);
  }

  /** Hear of what befalls the page, where there is one, or no more. */
  #attend(way: "addEventListener" | "removeEventListener"): void {
    if (typeof window !== "undefined") {
      window[way]("pagehide", this.#hide);
      window[way]("online", this.retryNow);
      document[way]("visibilitychange", this.#hideIfHidden);
    }
  }

  #address(): MembershipOptions {
    const { url, token, webSocket } = this.#options;
    return {
      url: url ?? globalThis.location.origin,
      topic: `flow:${this.flowId}`,
      token,
      webSocket,
      random: this.#random,
    };
  }

  #parameters(clientId: string): JsonObject {
    const { epoch, version } = this.#replica;
    return {
      mode: "document",
      client_id: clientId,
      ...(epoch === null ? {} : { epoch, version }),
      ...(this.#options.user === undefined ? {} : { user: this.#options.user }),
    };
  }

  // listeners

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  listen(listener: (event: FlowEvent) => void): () => void {
    this.#eventListeners.add(listener);
    return () => this.#eventListeners.delete(listener);
  }

  #tell(event: FlowEvent): void {
    for (const listener of [...this.#eventListeners]) {
      listener(event);
    }
  }

  #refresh(): void {
    this.#state = this.#snapshot();
    for (const listener of [...this.#listeners]) {
      listener();
    }
  }

  #snapshot(): FlowState {
    return {
      document: this.#replica.shown,
      version: this.#replica.version,
      epoch: this.#replica.epoch,
      status: this.#status(),
      canUndo: this.#changes.history.canUndo,
      canRedo: this.#changes.history.canRedo,
      role: this.#role,
      members: this.#awareness.members,
      cursors: this.#awareness.cursors,
      namesChanged: this.#namesChanged,
      refusals: this.#refusals,
    };
  }

  #status(): FlowStatus {
    const { kind, ...rest } = this.#standing;
    const unsent = this.#replica.unconfirmed.length;
    if (kind === "joined") {
      return { ...rest, kind: unsent === 0 ? "saved" : "saving", unsent };
    }
    const isLoading = kind === "offline" && !this.#wasIn && rest.error === null;
    return { ...rest, kind: isLoading ? "loading" : kind, unsent };
  }

  // one's own changes

  patch(patch: JsonObject): void {
    this.#changes.patch(patch);
  }

  gather(key: string, patch: JsonObject, options: GatherOptions = {}): void {
    this.#changes.gather(key, patch, options);
  }

  flush(): void {
    this.#changes.flush();
  }

  undo(): boolean {
    return this.#changes.turn("undo");
  }

  redo(): boolean {
    return this.#changes.turn("redo");
  }

  // what becomes of them

  #accepted(op: Operation, version: number, effective: JsonObject | undefined): void {
    this.#replica.acknowledge(op, version, effective);
    this.#keeper.remove(this.flowId, op.clientId, op.opId);
    this.#refresh();
  }

  #refused(op: Operation, error: FlowError): void {
    this.#replica.refuse(op);
    this.#changes.history.drop(op);
    this.#keeper.remove(this.flowId, op.clientId, op.opId);
    const refusal: Refusal = { ...error, opId: op.opId, patch: op.patch };
    this.#refusals = [...this.#refusals, refusal];
    this.#refresh();
    this.#tell({ type: "refused", refusal });
  }

  dismiss(opId?: number): void {
    this.#refusals = this.#refusals.filter((one) => opId !== undefined && one.opId !== opId);
    this.#refresh();
  }

  // what the server tells

  /** Take what the server tells; where that can't be, the next join begins anew. */
  #trusting(take: () => void): void {
    try {
      take();
    } catch (error) {
      if (!(error instanceof Gap)) {
        this.#replica.distrust();
      }
      throw error;
    }
  }

  #joined(response: JsonObject): void {
    const { epoch, version, document, entries, role, limits } = response;
    if (document !== undefined) {
      this.#adopt(epoch, version, document);
    } else {
      if (epoch !== this.#replica.epoch) {
        throw new Error("The server resumed another log");
      }
      this.#grow(entries);
      if (typeof version !== "number" || version > this.#replica.version) {
        throw new Gap();
      }
    }
    this.#namesChanged += 1;
    this.#role = typeof role === "string" ? role : null;
    this.#wasIn = true;
    this.#limits = limits;
  }

  #received(event: string, payload: JsonObject): void {
    if (event === "entries") {
      this.#grow(payload["entries"]);
    } else if (event === "version_named" || event === "versions_changed") {
      this.#namesChanged += 1;
      this.#refresh();
    } else if (event === "reset") {
      this.#namesChanged += 1;
      this.#adopt(payload["epoch"], payload["version"], payload["document"]);
    } else if (event === "cursors") {
      this.#awareness.moved(payload);
    }
  }

  #grow(given: unknown): void {
    if (!Array.isArray(given)) {
      throw new TypeError("The server sent no entries");
    }
    const { news, settled } = this.#replica.receive(given as FlowEntry[]);
    for (const op of settled) {
      this.#keeper.remove(this.flowId, op.clientId, op.opId);
      if (op.clientId === this.clientId) {
        this.#outgoing.settle(op);
      } else {
        this.#couriers.settle(op);
      }
    }
    for (const { client_id, patch, version } of news) {
      if (client_id !== this.clientId) {
        this.#changes.history.overtake(patch, version);
      }
    }
    if (news.length > 0) {
      this.#keepDocument();
      this.#refresh();
      this.#tell({ type: "entries", entries: news });
    }
  }

  #adopt(epoch: unknown, version: unknown, document: unknown): void {
    if (typeof epoch !== "string" || typeof version !== "number" || !isObject(document)) {
      throw new TypeError("The server sent no document");
    }
    if (this.#replica.epoch !== null && this.#replica.epoch !== epoch) {
      this.#changes.history.clear();
    }
    this.#replica.adopt(epoch, version, document as FlowDocument);
    this.#keepDocument();
    this.#refresh();
    this.#tell({ type: "replaced", epoch, version });
  }

  #moved(standing: Standing): void {
    const before = this.#standing;
    this.#standing = standing;
    if (standing.kind === "joined" && before.kind !== "joined") {
      this.#refresh();
      this.#arrive();
      return;
    }
    if (standing.kind !== "joined" && before.kind === "joined") {
      this.#outgoing.pause();
      this.#couriers.pause();
      this.#awareness.leave();
    }
    this.#refresh();
    if (standing.kind === "closed" && before.kind !== "closed") {
      this.#tell({ type: "closed", error: standing.error ?? { reason: "Closed", code: null } });
    }
  }

  /** Say who one is, and send what waits. */
  #arrive(): void {
    this.#awareness.arrive();
    this.#outgoing.resume(this.#limits);
    this.#couriers.deliver();
    const { initial } = this.#options;
    if (initial !== undefined && this.#replica.version === 0 && this.#changes.isEmpty) {
      this.#changes.begin(initial);
    }
  }

  retryNow = (): void => {
    this.#membership?.retryNow();
  };

  // presence

  setCursor(cursor: Cursor | null): void {
    this.#awareness.setCursor(cursor);
  }

  setPresence(meta: PresenceMeta): void {
    this.#awareness.setPresence(meta);
  }

  #tellOf(event: "presence" | "cursor", payload: JsonObject): void {
    if (event === "cursor") {
      this.#membership?.tell(event, payload);
    } else {
      this.#membership?.push(event, payload, { ok: () => undefined, refused: () => undefined });
    }
  }

  // what is kept

  #keepDocument(): void {
    this.#keeping ??= setTimeout(() => {
      this.#keepNow();
    }, KEEP_AFTER);
  }

  #keepNow(): void {
    clearTimeout(this.#keeping);
    this.#keeping = undefined;
    const { epoch, version, confirmed } = this.#replica;
    if (epoch !== null && confirmed !== null) {
      this.#keeper.putDocument(this.flowId, { epoch, version, document: confirmed });
    }
  }

  #hide = (): void => {
    this.flush();
    if (this.#keeping !== undefined) {
      this.#keepNow();
    }
  };

  #hideIfHidden = (): void => {
    if (document.visibilityState === "hidden") {
      this.#hide();
    }
  };

  async #lookForOrphans(): Promise<void> {
    const { operations } = await this.#keeper.load(this.flowId);
    await this.#adoptOrphans(operations.map(({ clientId }) => clientId));
  }

  async #adoptOrphans(clientIds: string[]): Promise<void> {
    const life = this.#life;
    const isNews = await this.#couriers.adopt(clientIds.filter((id) => id !== this.clientId));
    if (life !== this.#life) {
      this.#couriers.stop();
    } else if (isNews) {
      this.#refresh();
      if (this.#standing.kind === "joined") {
        this.#couriers.deliver();
      }
    }
  }
}
