/** `FlowSync`: keeps one flow in step with its server, without React. */

import { GONE, REPLACED } from "../model/errors.js";
import { History } from "../model/history.js";
import { newId, publicId } from "../model/ids.js";
import { restoring } from "../model/losses.js";
import { type Operation, Replica } from "../model/replica.js";
import { sizeOf } from "../model/split.js";
import { copyPatch } from "../model/telling.js";
import { fittingName } from "../model/wellformed.js";
import type {
  Cursor,
  Dropped,
  FlowDocument,
  FlowError,
  FlowEvent,
  FlowState,
  FlowStatus,
  FlowSyncOptions,
  GatherOptions,
  JsonObject,
  KeptDocument,
  PresenceMeta,
  Refusal,
  SyncedFlow,
} from "../types.js";
import { Access } from "./access.js";
import { AdoptedOutboxes } from "./adoptedoutboxes.js";
import { Adoption } from "./adoption.js";
import { Awareness } from "./awareness.js";
import { examine } from "./cause.js";
import { Changes } from "./changes.js";
import { FirstLook } from "./firstlook.js";
import { Incoming } from "./incoming.js";
import { BrowserKeeper } from "./keeper.js";
import { Membership, type MembershipOptions, ON_THE_WAY, type Standing } from "./membership.js";
import { type Acceptance, Outbox } from "./outbox.js";
import { Outcomes } from "./outcomes.js";
import { Page } from "./page.js";
import { PageName } from "./pagename.js";
import { secureRandom } from "./random.js";
import { ResilientKeeper } from "./resilientkeeper.js";

/** What tags may take as JSON. */
const MAX_TAGS_BYTES = 1024;

/** Joins a flow and stays in it. `SyncedFlow` documents what that means. */
export class FlowSync implements SyncedFlow {
  readonly flowId: string;
  readonly #options: FlowSyncOptions;
  readonly #random: () => number;
  readonly #storage: ResilientKeeper;
  readonly #replica = new Replica();
  readonly #outcomes: Outcomes;
  readonly #page: Page;
  readonly #name: PageName;
  readonly #changes: Changes;
  readonly #outbox: Outbox;
  readonly #adopted: AdoptedOutboxes;
  readonly #adoption: Adoption;
  readonly #access = new Access();
  readonly #incoming: Incoming;
  readonly #awareness: Awareness;
  readonly #listeners = new Set<() => void>();
  readonly #eventListeners = new Set<(event: FlowEvent) => void>();
  #membership: Membership | null = null;
  readonly #firstLook: FirstLook | null;
  #wasShown = false;
  /** A stored document with which a page crashed; shown only if the server can't be reached. */
  #doubtful: KeptDocument | null = null;
  #standing: Standing = ON_THE_WAY;
  /** Why the server takes no changes for now. */
  #delay: FlowError | null = null;
  #state: FlowState;
  /** Counts starts and stops: what began before is given up. */
  #life = 0;
  #isStarted = false;
  #turn: Promise<void> = Promise.resolve();

  constructor(flowId: string, options: FlowSyncOptions = {}) {
    this.flowId = flowId;
    this.#firstLook = options.keeper === null ? null : new FirstLook(flowId);
    const { initial } = options;
    this.#options = initial === undefined ? options : { ...options, initial: copyPatch(initial) };
    this.#random = options.random ?? secureRandom;
    const changed = (): void => {
      this.#refresh();
    };
    const tell = (event: FlowEvent): void => {
      this.#tell(event);
    };
    const settle = (...ops: readonly Operation[]): void => {
      this.#outbox.settle(...ops);
      this.#adopted.settle(...ops);
    };
    const { keeper = new BrowserKeeper() } = options;
    this.#storage = new ResilientKeeper(keeper, changed);
    this.#page = new Page({
      hide: () => {
        this.#hide();
      },
      wake: () => this.#membership?.probe(),
    });
    const history = new History();
    this.#outcomes = new Outcomes(flowId, this.#replica, history, this.#storage, {
      changed,
      tell,
      settle,
      pump: () => {
        this.#outbox.pump();
        this.#adopted.pump();
      },
    });
    const settled = {
      accepted: (op: Operation, acceptance: Acceptance) => {
        this.#access.accept();
        this.#delay = null;
        this.#outcomes.accepted(op, acceptance);
      },
      refused: (op: Operation, error: FlowError) => {
        this.#delay = null;
        this.#outcomes.refused(op, error);
      },
      delayed: (error: FlowError) => {
        this.#delay = error;
        changed();
      },
      forbidden: (error: FlowError) => {
        this.#access.refuse(error);
        changed();
      },
    };
    this.#outbox = new Outbox(
      {
        ...settled,
        push: (...push) => this.#membership?.push(...push) ?? false,
        split: (op, patches) => this.#outcomes.keepParts(op, this.#changes.split(op, patches)),
      },
      this.#random,
    );
    this.#changes = new Changes(
      newId(this.#random),
      this.#replica,
      history,
      {
        keep: (op) => {
          this.#outcomes.keep(op);
        },
        send: (op) => {
          // If this page doesn't hold its id, another page may send what is stored.
          op.isSent ||= !this.#name.isHeld;
          this.#outbox.add(op);
        },
        cancel: (op) => {
          this.#outcomes.remove(op);
          this.#outbox.settle(op);
        },
        changed,
      },
      tagsOf(options),
    );
    this.#adopted = new AdoptedOutboxes(flowId, this.#storage, this.#replica, this.#address(), {
      ...settled,
      parameters: (clientId) => this.#parameters(clientId),
      split: (op, given) => this.#outcomes.keepParts(op, this.#replica.split(op, given)),
      moved: () => {
        this.#outbox.wait(this.#adopted.isFirst);
      },
    });
    this.#adoption = new Adoption(
      flowId,
      this.#replica,
      this.#changes,
      this.#outcomes,
      this.#storage,
      this.#adopted,
      {
        changed,
        isJoined: () => this.#standing.kind === "joined" && this.#access.isEditor,
        inTurn: (act) => {
          this.#inTurn(act);
        },
      },
    );
    this.#name = new PageName(flowId, this.#storage, this.#changes, () => {
      this.#takeAnotherName();
    });
    this.#incoming = new Incoming(this.#replica, this.#changes, this.#outcomes, this.#access, {
      changed,
      accessChanged: () => {
        this.#follow();
      },
      tell,
      settle,
      keepDocument: (isAtOnce) => {
        this.#keepDocument(isAtOnce);
      },
    });
    this.#awareness = new Awareness(() => this.clientId, {
      tell: (event, payload) => {
        this.#tellOf(event, payload);
      },
      changed,
    });
    this.#state = this.#snapshot();
  }

  get clientId(): string {
    return publicId(this.#changes.clientId);
  }

  get state(): FlowState {
    return this.#state;
  }

  // start and stop

  start(): void {
    this.#life += 1;
    this.#isStarted = true;
    this.#standing = ON_THE_WAY;
    const life = this.#life;
    this.#inTurn(() => this.#open(life));
    this.#page.attend();
    this.#refresh();
  }

  stop(): void {
    this.#life += 1;
    this.#isStarted = false;
    this.#page.leave();
    this.#hide();
    this.#replica.markSent();
    this.#awareness.stop();
    this.#adoption.stop();
    this.#membership?.stop();
    this.#membership = null;
    this.#name.letGo();
  }

  /** Run what uses the storage one after the other: an earlier start first releases its ids. */
  #inTurn(act: () => Promise<void>): void {
    this.#turn = this.#turn.then(act).catch((error: unknown) => {
      // The next one doesn't depend on it.
      console.error(error);
    });
  }

  async #open(life: number): Promise<void> {
    if (life !== this.#life) {
      return;
    }
    const known = this.#replica.unconfirmed;
    const [, kept] = await Promise.all([this.#name.hold(), this.#storage.load(this.flowId)]);
    if (life !== this.#life) {
      return;
    }
    if (kept.document?.isDoubtful === true || this.#firstLook?.hasFailed === true) {
      this.#doubtful = kept.document;
    } else {
      this.#begin(kept.document);
    }
    await this.#adoption.adopt(kept, known);
    if (life !== this.#life) {
      return;
    }
    this.#refresh();
    this.#membership = new Membership(this.#address(), {
      parameters: () => this.#parameters(this.#changes.clientId),
      joined: (response) => {
        this.#incoming.joined(response);
      },
      received: (event, payload) => {
        if (event === "cursors") {
          this.#awareness.moved(payload);
        } else {
          this.#incoming.received(event, payload);
        }
      },
      moved: (standing) => {
        this.#moved(standing);
      },
      present: (list) => {
        this.#awareness.present(list);
      },
    });
    this.#membership.start();
    this.#adoption.watch();
  }

  /** Show the stored document, if nothing is shown yet. */
  #begin(kept: KeptDocument | null): void {
    if (this.#replica.confirmed === null && kept !== null) {
      const { epoch, version, chain = null, document } = kept;
      this.#replica.adopt({ epoch, version, chain }, document);
    }
  }

  /** Leave unsent operations to the page that holds this one's id, and continue under a new id. */
  #takeAnotherName(): void {
    const { operations, unconfirmed } = this.#replica;
    this.#outbox.settle(...operations);
    this.#adopted.leave(unconfirmed);
    this.#adoption.lookSoon();
    this.#changes.clientId = newId(this.#random);
  }

  #address(): MembershipOptions {
    const { url, token, webSocket } = this.#options;
    return {
      url: url ?? globalThis.location.origin,
      topic: `flow:${this.flowId}`,
      token,
      webSocket,
      // Another WebSocket may reach the server in another way, so HTTP would prove nothing.
      examine: webSocket === undefined ? examine : undefined,
      random: this.#random,
    };
  }

  #parameters(clientId: string): JsonObject {
    const { user } = this.#options;
    const { epoch, version, chain } = this.#replica;
    return {
      mode: "document",
      client_id: clientId,
      ...(epoch === null ? {} : { epoch, version }),
      ...(epoch === null || chain === null ? {} : { chain }),
      ...(user === undefined ? {} : { user: { ...user, name: fittingName(user.name) } }),
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
    if (!this.#wasShown && this.#replica.shown !== null) {
      this.#wasShown = true;
      this.#firstLook?.begin();
    }
    this.#state = this.#snapshot();
    const { unsent, kept } = this.#state.status;
    this.#page.warn(this.#isStarted && unsent > 0 && !kept);
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
      canUndo: this.#access.isEditor && this.#changes.history.canUndo(this.#replica.shown),
      canRedo: this.#access.isEditor && this.#changes.history.canRedo(this.#replica.shown),
      role: this.#access.role,
      may: this.#access.may,
      paths: this.#access.paths,
      members: this.#awareness.members,
      cursors: this.#awareness.cursors,
      namesChanged: this.#incoming.namesChanged,
      refusals: this.#outcomes.refusals,
      dropped: this.#outcomes.losses.list,
    };
  }

  #status(): FlowStatus {
    const { kind, isInDoubt, ...rest } = this.#standing;
    const { unsent } = this.#replica;
    const kept = this.#storage.isKeeping;
    const why = kind === "joined" && unsent > 0 ? this.#access.why : null;
    if (why !== null) {
      return { ...rest, kind: "held", error: why, unsent, kept };
    }
    if (kind === "joined" && unsent > 0) {
      return { ...rest, kind: "saving", error: this.#delay, unsent, kept };
    }
    if (kind === "joined") {
      return { ...rest, kind: isInDoubt ? "checking" : "saved", unsent, kept };
    }
    const isLoading = kind === "offline" && !this.#incoming.wasJoined && rest.error === null;
    return { ...rest, kind: isLoading ? "loading" : kind, unsent, kept };
  }

  // one's own changes

  patch(patch: JsonObject): void {
    if (this.#isAllowed(patch)) {
      this.#changes.patch(patch);
    }
  }

  gather(key: string, patch: JsonObject, options: GatherOptions = {}): void {
    if (!this.#isAllowed(patch)) {
      return;
    }
    this.#changes.gather(key, patch, options);
    if (!this.#name.isHeld) {
      // Another page may send it as it is now.
      this.#changes.seal();
    }
  }

  flush(): void {
    this.#changes.flush();
  }

  undo(): boolean {
    return this.#isAllowed() && this.#changes.turn("undo");
  }

  redo(): boolean {
    return this.#isAllowed() && this.#changes.turn("redo");
  }

  /** Tell whether this client may make a change; refuse it otherwise. */
  #isAllowed(patch: JsonObject = {}): boolean {
    const error = this.#access.judge(this.#replica.shown, patch);
    if (error !== null) {
      this.refuse(error, copyPatch(patch));
    }
    return error === null;
  }

  // their outcomes

  copyOfUnsent(): FlowDocument | null {
    return this.#replica.unsent > 0 ? this.#replica.shown : null;
  }

  discardUnsent(): void {
    const { kind } = this.#state.status;
    if (kind === "held" || kind === "closed") {
      const { unconfirmed } = this.#replica;
      unconfirmed.forEach((op) => {
        this.#outcomes.forget(op);
      });
      this.#outbox.settle(...unconfirmed);
      this.#adopted.settle(...unconfirmed);
      this.#refresh();
    }
  }

  refuse(error: FlowError, patch: JsonObject): void {
    this.#outcomes.refuse(error, patch);
  }

  dismiss(told?: Refusal | Dropped): void {
    this.#outcomes.dismiss(told);
  }

  restore(...dropped: readonly Dropped[]): boolean {
    const { shown, unsent } = this.#replica;
    if (shown !== null) {
      const patch = restoring(dropped, shown);
      if (!this.#isAllowed(patch)) {
        return false;
      }
      this.#changes.patch(patch);
    }
    dropped.forEach((one) => {
      this.dismiss(one);
    });
    return this.#replica.unsent > unsent;
  }

  // the connection state

  #moved(standing: Standing): void {
    const before = this.#standing;
    this.#standing = standing;
    if (standing.error?.code === REPLACED.code && standing.kind === "closed") {
      // This page slept so long that another one adopted its outbox.
      this.stop();
      this.#takeAnotherName();
      this.start();
      return;
    }
    if (standing.kind === "closed") {
      this.#access.close(standing.error);
    }
    if (standing.kind === "joined" && before.kind !== "joined") {
      this.#refresh();
      this.#arrive();
      return;
    }
    if (standing.error !== null) {
      this.#begin(this.#doubtful);
    }
    if (standing.kind !== "joined" && before.kind === "joined") {
      this.#outbox.pause();
      this.#adopted.pause();
      this.#awareness.leave();
      this.#delay = null;
    }
    this.#refresh();
    if (standing.kind === "closed" && before.kind !== "closed") {
      this.#tell({ type: "closed", error: standing.error ?? { reason: "Closed", code: null } });
    }
  }

  /** Send this page's meta, and what is unsent. */
  #arrive(): void {
    this.#awareness.arrive();
    this.#outbox.allow(this.#access.isEditor);
    if (this.#access.isEditor) {
      this.#adopted.deliver();
    }
    this.#outbox.resume(this.#incoming.limits);
    const { initial } = this.#options;
    if (initial !== undefined && this.#access.isEditor && this.#replica.version === 0 && this.#changes.isEmpty) {
      this.#changes.begin(initial, (op) => {
        this.#outcomes.setInitial(op);
      });
    }
  }

  /** Send what this client may send now, and hold back the rest. */
  #follow(): void {
    const { isEditor } = this.#access;
    if (isEditor && this.#standing.kind === "joined") {
      this.#adopted.deliver();
    } else if (!isEditor) {
      this.#adopted.pause();
    }
    this.#outbox.allow(isEditor);
    this.#refresh();
  }

  retryNow = (): void => {
    if (this.#isStarted && this.#standing.kind === "closed" && GONE.has(this.#standing.error?.code ?? "")) {
      this.stop();
      this.start();
    } else {
      this.#membership?.retryNow();
    }
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

  // storage

  #keepDocument(isAtOnce: boolean): void {
    this.#storage.keepDocument(this.flowId, () => {
      const { epoch, version, chain, confirmed } = this.#replica;
      return epoch === null || confirmed === null
        ? null
        : { epoch, version, chain, document: confirmed };
    });
    if (isAtOnce) {
      this.#storage.flush();
    }
  }

  doubtKept(): void {
    this.#storage.doubt();
    this.#keepDocument(true);
  }

  #hide(): void {
    this.#firstLook?.end();
    this.flush();
    this.#storage.flush();
  }
}

/** Copy what changes are to be marked with. The server would refuse each of them for tags that are too large. */
function tagsOf({ tags = {} }: FlowSyncOptions): JsonObject {
  const copy = copyPatch(tags);
  if (sizeOf(copy) > MAX_TAGS_BYTES) {
    throw new TypeError(`tags take at most ${MAX_TAGS_BYTES} bytes of JSON`);
  }
  return copy;
}
