/** Types that the library and its users share: the document, and the state and events of a `FlowSync`. */

/** A JSON object: data of the flow, or a merge patch of such data. */
export interface JsonObject {
  [name: string]: unknown;
}

/** A point in the flow's own coordinates. */
export interface Point {
  x: number;
  y: number;
}

/** A node as the document holds it: React Flow's node without one person's own fields. */
export interface FlowNode extends JsonObject {
  id: string;
  type?: string;
  position: Point;
  data: JsonObject;
}

/** An edge as the document holds it. */
export interface FlowEdge extends JsonObject {
  id: string;
  source: string;
  target: string;
}

/**
 * The document of a flow.
 *
 * It is never changed in place. What a patch doesn't touch stays the very same object, so `===` tells
 * whether a node has changed.
 */
export interface FlowDocument extends JsonObject {
  title: string;
  description: string;
  viewport: Point & { zoom: number };
  data: JsonObject;
  nodes: Record<string, FlowNode>;
  edges: Record<string, FlowEdge>;
}

/** Who did something, as far as the server knows. */
export interface Actor {
  id: string;
  kind: "person" | "service" | "guest";
  /** To show; may be empty. */
  name: string;
}

/** An entry of the flow's log, as the server sends it. */
export interface FlowEntry {
  /** Its place in the log; the first has 1. */
  version: number;
  client_id: string | null;
  op_id: number | null;
  /** What it changed: a JSON Merge Patch of the document. */
  patch: JsonObject;
  /** Who made it, as a name to show. */
  by: string;
  /** When it was accepted, Unix seconds. */
  at: number;
  /** JSON Pointers of the parts of the sent patch that were dropped; see `Dropped`. */
  dropped?: string[];
  /** Who made it. It is missing where nothing proves that, and in old entries. */
  actor?: Actor;
  /** What its client marked it with, and its grants (`source: "ai"`, say); missing if there is nothing. */
  tags?: JsonObject;
}

/** Why the server or the connection refused. */
export interface FlowError {
  /** For people. */
  reason: string;
  /** For programs: docs/errors.md lists the codes. `null` where the server gave none. */
  code: string | null;
  /** Who deleted the flow, as a name to show, if it was deleted and this is known. */
  by?: string;
}

/**
 * How the shown document relates to the server.
 *
 * - `loading`: loads for the first time. What an earlier visit stored may be shown already.
 * - `saved`: joined, and everything is durable.
 * - `saving`: joined, and `unsent` changes are on their way. While the server can't take them, as without its
 *   database, `error` says why; they are sent again.
 * - `held`: joined, but one may not make the `unsent` changes, or not any more; `error` says why. They are kept
 *   and shown, and are sent once one may.
 * - `checking`: probably joined, with nothing unsent. The page slept, the network changed, or the server is
 *   silent, so the client asks. Within 5 s the status is another one.
 * - `offline`: not joined; the client tries again by itself. `unsent` changes wait.
 * - `closed`: for good, by the server (`error` says why) or by `stop`. If one may not see the flow (the codes
 *   `flow_not_found` and `access_revoked`), `retryNow` tries again.
 */
export interface FlowStatus {
  kind: "loading" | "saved" | "saving" | "held" | "checking" | "offline" | "closed";
  /** Changes that aren't known to be durable, including those that are still being typed. */
  unsent: number;
  /** Whether unsent changes outlive the page. If not, the browser warns before the page is left. */
  kept: boolean;
  /** Why it is offline, closed or held, or why nothing can be saved for now; `null` otherwise. */
  error: FlowError | null;
  /** Failed attempts to join since the last successful one. */
  failedAttempts: number;
  /** Ten attempts failed; further ones come slowly. Offer a button that calls `retryNow`. */
  isSlow: boolean;
  /** Time of the next attempt, in milliseconds since 1970. If it has passed, the attempt is running. */
  nextAttemptAt: number | null;
}

/** A change that the server refused. It has been undone here. */
export interface Refusal extends FlowError {
  /** 0 if it was never sent. For another page's change that this page sent, that page's number. */
  opId: number;
  /** What was refused; `{}` if it can't be written as JSON. `reason` then says where it stands. */
  patch: JsonObject;
}

/** A node or an edge whose deletion this page has seen. */
export interface Deletion {
  kind: "nodes" | "edges";
  id: string;
  /** Its last value. */
  value: FlowNode | FlowEdge;
  /** Who deleted it, as a name to show; `null` if the document came whole, which doesn't say. */
  by: string | null;
  /** The edges that were deleted with a node. */
  edges: readonly FlowEdge[];
}

/** Changes of this browser that the log doesn't hold, because their target had been deleted. */
export interface Dropped {
  /** The number of the last of the changes. */
  opId: number;
  /** JSON Pointers of what was dropped: deleted nodes, and edges that would lead to them. */
  paths: readonly string[];
  /** What was sent. Changes with the same dropped paths are combined. */
  patch: JsonObject;
  /** What it refers to: what somebody deleted meanwhile. */
  deletions: readonly Deletion[];
}

/** Where somebody drags a node now, and how large they make it. The place is like the node's `position`. */
export interface Moving extends Point {
  width?: number;
  height?: number;
}

/** Somebody's pointer, and what they drag or resize now. */
export interface Cursor extends Point {
  /** By node: drags and resizes that haven't ended. */
  moving?: Record<string, Moving>;
}

/** What a member shows of itself to others; at most 4 KiB. */
export interface PresenceMeta extends JsonObject {
  name?: string;
  /** A CSS colour. */
  color?: string;
  /** The selected nodes and edges; only the first ones, if they are too many to send. */
  selection?: string[];
  /** In that case, how many are selected. */
  selected?: number;
  /** What is being edited, such as `{ node: "n1", field: "label" }`. */
  editing?: JsonObject | null;
}

/** A member of the flow: one tab or program. */
export interface Member {
  clientId: string;
  /** The same for all tabs of one person. */
  key: string;
  name: string;
  color: string;
  isSelf: boolean;
  meta: PresenceMeta;
}

/** Something that one may do in a flow. */
export type Right = "read" | "comment" | "propose" | "edit" | "manage";

/** Everything that a `FlowSync` knows. Each change makes a new state that shares what is unchanged. */
export interface FlowState {
  /** What to show: the confirmed document with one's own changes on top. `null` while loading. */
  document: FlowDocument | null;
  /** The version of the confirmed document. */
  version: number;
  /** The identity of the log; `null` before the first join. */
  epoch: string | null;
  /**
   * `"viewer"`, `"commenter"`, `"proposer"`, `"editor"` or `"owner"`; `null` before the first join, and if one may
   * not see the flow. It may change at any time.
   */
  role: string | null;
  /**
   * What one may do; `null` before the first join. Changes are taken until then, and held back if it turns out
   * that one may not make them.
   */
  may: readonly Right[] | null;
  /**
   * The only places of the document that one may change, as paths such as `/nodes/*[type=prompt]/data/**`; `null`
   * if it is all of it. `mayChange` reads them.
   */
  paths: readonly string[] | null;
  status: FlowStatus;
  members: readonly Member[];
  /** By client_id; never one's own. */
  cursors: ReadonlyMap<string, Cursor>;
  /**
   * Changes whenever the names of versions may have changed: somebody changed them, or it happened
   * unseen while not joined. REST lists the names.
   */
  namesChanged: number;
  /** Refusals that weren't dismissed yet, oldest first. */
  refusals: readonly Refusal[];
  /** Dropped changes that weren't dismissed yet, oldest first. */
  dropped: readonly Dropped[];
  canUndo: boolean;
  canRedo: boolean;
}

/** An event of a `FlowSync`. It comes once the state shows it. */
export type FlowEvent =
  /** The log has grown; one's own entries are among them. */
  | { type: "entries"; entries: readonly FlowEntry[] }
  /** The document came whole. What changed is unknown. */
  | { type: "replaced"; epoch: string; version: number }
  /** Texts in which this page and somebody else changed the same words. Both versions stand there. */
  | { type: "conflict"; paths: readonly string[] }
  | { type: "refused"; refusal: Refusal }
  | { type: "dropped"; dropped: Dropped }
  | { type: "closed"; error: FlowError };

/** What others see of this client's user. */
export interface FlowUser {
  /** The same in all tabs of one person. */
  id?: string;
  name: string;
  /** A CSS colour. */
  color?: string;
}

/** A patch that waits for the server, as it is stored. */
export interface KeptOperation {
  clientId: string;
  opId: number;
  patch: JsonObject;
  /** When it was made: a later operation has a larger number. */
  at?: number;
  /** The same client's operations that it undoes, while all of these are on their way. */
  undoes?: number[];
  /** The texts that its texts were made from, by JSON Pointer: see `GatherOptions.isText`. */
  bases?: Readonly<Record<string, string>>;
  /** What it is marked with: see `FlowSyncOptions.tags`. */
  tags?: JsonObject;
  /** If it undoes something: the values that it replaces, as they were at a version. */
  replaces?: { version: number; values: JsonObject };
}

/** A confirmed document, as it is stored. */
export interface KeptDocument {
  epoch: string;
  version: number;
  /** The log's chain value at that version; see docs/protocol.md. */
  chain?: string | null;
  document: FlowDocument;
  /** A page that showed it has crashed. The server's document is preferred, if it can be loaded. */
  isDoubtful?: boolean;
}

/** What is stored of a flow. */
export interface Kept {
  document: KeptDocument | null;
  /** Every client's operations, by `opId`. */
  operations: KeptOperation[];
  /** Whether more may be stored that can't be read now. */
  isPartial?: boolean;
}

/**
 * Stores a flow for later visits, usually in the browser.
 *
 * What can't be stored is lost with the page; nothing else happens, and no method throws or rejects. If an
 * answer takes longer than some seconds, the client goes on without it.
 */
export interface FlowKeeper {
  /** Load what is stored of a flow. */
  load(flowId: string): Promise<Kept>;
  /**
   * Store an operation, or its new state. It is durable at once if possible.
   *
   * @returns `false` if it could not be stored.
   */
  put(flowId: string, operation: KeptOperation): boolean | Promise<boolean>;
  remove(flowId: string, clientId: string, opId: number): void;
  /** Store a confirmed document in place of the one before. */
  putDocument(flowId: string, document: KeptDocument): void;
  /**
   * Hold a client's id for as long as this page lives.
   *
   * @param wait milliseconds to wait until it is free; 0 by default.
   * @returns a function that releases it; `null` if another page holds it.
   */
  hold(flowId: string, clientId: string, wait?: number): Promise<(() => void) | null>;
}

/** A keeper that can list what it stores of all flows. */
export interface UnsentKeeper extends FlowKeeper {
  /** Count the operations that no server has confirmed, by flow. */
  unsentFlows(): Promise<ReadonlyMap<string, number>>;
}

/** Options of a `FlowSync`. */
export interface FlowSyncOptions {
  /** The server, as `https://flows.example` or `https://example.com/helix`; by default the origin of the page. */
  url?: string;
  user?: FlowUser;
  /**
   * The user's token. A function is called at each attempt to connect, and before the token's end: the new one
   * then counts on the open connection. `null` is for a user without one.
   */
  token?: string | (() => string | null | Promise<string | null>);
  /** Where the flow is stored; by default in the browser (IndexedDB, localStorage), `null` for nowhere. */
  keeper?: FlowKeeper | null;
  /**
   * The first content of an empty flow: a patch. It is sent once the flow turns out to have no entry, and the
   * server takes it only if that is still so. If somebody else began the flow first, it is dropped silently.
   */
  initial?: JsonObject;
  /**
   * What all changes of this page are marked with, as the `tags` of their entries: at most 1,024 bytes of JSON.
   * What the user's token sets counts before it.
   */
  tags?: JsonObject;
  /** A WebSocket in place of the platform's. */
  webSocket?: new (url: string, protocols?: string | string[]) => object;
  /** The source of ids and waits: gives a number from 0 up to, not including, 1. */
  random?: () => number;
}

/** A flow with changes in this browser that no server has confirmed. */
export interface UnsentFlow {
  flowId: string;
  /** As last known here; `null` if it never was. */
  title: string | null;
  /** How many changes. */
  count: number;
  /** Why the last attempt to send them failed; `null` if there was none. */
  error: FlowError | null;
}

/** A refusal or a dropped change of a flow that no page has open. */
export type UnsentEvent = Extract<FlowEvent, { type: "refused" | "dropped" }> & {
  flowId: string;
  title: string | null;
};

/** Options of an `Unsent`. All flows that this browser stores are assumed to be flows of this server. */
export interface UnsentOptions extends Omit<FlowSyncOptions, "initial" | "keeper" | "tags"> {
  /** The flow that this page has open; the page sends its changes itself. */
  except?: string;
  /** Where changes are stored; by default in the browser. */
  keeper?: UnsentKeeper;
}

/** How changes are gathered before they are sent. */
export interface GatherOptions {
  /** Milliseconds from the first change until they are sent: 500 by default, 1000 at most. */
  wait?: number;
  /**
   * The strings of the patch are texts, made from what is shown. If others write in them at the same time,
   * all edits are merged; otherwise the last one would win.
   */
  isText?: boolean;
}

/**
 * One flow, kept in step with its server. `FlowSync` implements it.
 *
 * Every change is shown at once, stored, and sent as soon as possible: in order, and again until the
 * server has answered. None is applied twice.
 */
export interface SyncedFlow {
  readonly flowId: string;
  /** This page's id in entries, members and cursors. The id that it joins with is secret. */
  readonly clientId: string;
  /** What is known now. Each change makes a new object. */
  readonly state: FlowState;

  /** Load what is stored, connect and join. After `stop` it can be called again. */
  start(): void;
  /** Send what is gathered, leave, and store the rest for the next visit. */
  stop(): void;

  /** Call `listener` after each change of `state`. Returns a function that ends this. */
  readonly subscribe: (listener: () => void) => () => void;
  /** Call `listener` with each event. Returns a function that ends this. */
  listen(listener: (event: FlowEvent) => void): () => void;

  /**
   * Change the document by a JSON Merge Patch. One patch is one step of undo, even if it is so large that
   * it is sent in parts.
   *
   * A patch that changes nothing isn't sent. One that this client may not make is refused at once: it isn't
   * shown, and is among `state.refusals` with the code `forbidden` or `forbidden_path`. `gather`, `undo` and
   * `redo` do the same.
   *
   * @throws TypeError if it can't be written as JSON, with the JSON Pointer of the place:
   * `/nodes/a/data/x: NaN can't be told in JSON`. `gather` does the same.
   */
  patch(patch: JsonObject): void;
  /**
   * Change the document bit by bit, as typing does. It is shown at once, and sent together: after a while,
   * by `flush`, or before any other change. What is gathered under one key in a row is one step of undo,
   * even if it is sent in parts.
   */
  gather(key: string, patch: JsonObject, options?: GatherOptions): void;
  /** Send what is gathered now, and end its step of undo: on blur, for example. */
  flush(): void;

  /**
   * Undo one's own last step by a patch that keeps what others have changed since.
   *
   * Steps with nothing left to undo are skipped. Returns whether something changed.
   */
  undo(): boolean;
  /** Redo what was undone last, by the same rule. */
  redo(): boolean;

  /** Show others one's pointer, and what one drags, at most 30 times a second. `null` removes it. */
  setCursor(cursor: Cursor | null): void;
  /** Change what others see of this member. Given fields replace earlier ones. */
  setPresence(meta: PresenceMeta): void;

  /**
   * Call this after a crash of the page, which the stored document may have caused. Pages then begin from the
   * server's document if the server can be reached. Unsent changes stay stored.
   */
  doubtKept(): void;

  /** Try to connect now instead of later, also to a flow that was closed because one may not see it. */
  readonly retryNow: () => void;
  /** Give the document with the unsent changes on top, to keep them elsewhere; `null` if there are none. */
  copyOfUnsent(): FlowDocument | null;
  /** Give up the unsent changes of this browser that are held back, or that a closed flow can't take. */
  discardUnsent(): void;
  /** Report a change that can't be made, as if the server had refused it. */
  refuse(error: FlowError, patch: JsonObject): void;
  /** Remove one item from `state.refusals` or `state.dropped`; all of them by default. */
  dismiss(told?: Refusal | Dropped): void;
  /**
   * Restore what somebody deleted, with one's own dropped changes on top, and those of its edges whose ends
   * exist then, as one step of undo. This dismisses it.
   *
   * @returns whether there was something to restore.
   */
  restore(...dropped: readonly Dropped[]): boolean;
}
