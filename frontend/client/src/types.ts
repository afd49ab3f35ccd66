/** What the library's parts and its users share: the document, and what a `FlowSync` tells of it. */

/** A JSON object. What it holds is data of the flow, or a merge patch of some. */
export interface JsonObject {
  [name: string]: unknown;
}

/** A point in the flow's own coordinates. */
export interface Point {
  x: number;
  y: number;
}

/** A node as the document holds it: what React Flow calls a node, without what is one person's. */
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
 * It is never changed in place. What a patch doesn't touch is the very same object afterwards, so
 * `===` tells whether a node has changed.
 */
export interface FlowDocument extends JsonObject {
  title: string;
  description: string;
  viewport: Point & { zoom: number };
  data: JsonObject;
  nodes: Record<string, FlowNode>;
  edges: Record<string, FlowEdge>;
}

/** An entry of the flow's log, as the server tells it. */
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
  /** JSON Pointers of what of the patch that was sent doesn't count; see `Dropped`. */
  dropped?: string[];
}

/** Why the server, or the connection, said no. */
export interface FlowError {
  /** For people. */
  reason: string;
  /** For programs: docs/errors.md lists the codes. `null` where the server gave none. */
  code: string | null;
  /** Who deleted the flow, as a name to show, where that is the reason and is known. */
  by?: string;
}

/**
 * How the shown document stands to the server.
 *
 * - `loading`: on its way in for the first time. What an earlier visit has kept may be shown already.
 * - `saved`: joined, and everything is durable.
 * - `saving`: joined, and `unsent` changes are on their way.
 * - `checking`: joined, with nothing unsent, as far as is known: the page has slept, the network is another
 *   one, or the server is silent, so it is asked. Within 5 s it is one of the others.
 * - `offline`: not joined; it is tried again by itself. `unsent` changes wait.
 * - `closed`: for good, by the server (`error` says why) or by `stop`.
 */
export interface FlowStatus {
  kind: "loading" | "saved" | "saving" | "checking" | "offline" | "closed";
  /** Changes that aren't known to be durable, those that are still being typed included. */
  unsent: number;
  /** Whether what is unsent outlives the page; where it doesn't, leaving the page is warned of. */
  kept: boolean;
  /** Why it is offline or closed; `null` otherwise. */
  error: FlowError | null;
  /** Attempts to join that failed since the last time it was joined. */
  failedAttempts: number;
  /** It was tried ten times: from now on slowly. Offer a button that calls `retryNow`. */
  isSlow: boolean;
  /** When it is tried again, in milliseconds since 1970; what has passed is being tried. */
  nextAttemptAt: number | null;
}

/** A change that the server refused. It has been undone here. */
export interface Refusal extends FlowError {
  /** 0 for what was never sent; of another page's change that this one has sent, that page's number. */
  opId: number;
  /** What was refused; `{}` where that can't be told in JSON, and `reason` says where it stands. */
  patch: JsonObject;
}

/** A node or an edge that is no more, as far as this page has seen it go. */
export interface Deletion {
  kind: "nodes" | "edges";
  id: string;
  /** What it was last. */
  value: FlowNode | FlowEdge;
  /** Who deleted it, as a name to show; `null` where the document came whole, which doesn't say. */
  by: string | null;
  /** The edges that went with a node. */
  edges: readonly FlowEdge[];
}

/** Changes of this browser that the log doesn't hold, because what they were made to was gone by then. */
export interface Dropped {
  /** Of the last of the changes. */
  opId: number;
  /** JSON Pointers of what doesn't count: of nodes that were deleted, of edges that would lead to such. */
  paths: readonly string[];
  /** What was sent. Changes of which the same was dropped are one. */
  patch: JsonObject;
  /** Of what it speaks: what somebody deleted meanwhile. */
  deletions: readonly Deletion[];
}

/** Where somebody drags a node at the moment, and how large they make it; a place as the node's `position`. */
export interface Moving extends Point {
  width?: number;
  height?: number;
}

/** Somebody's pointer, and what they drag or resize at the moment. */
export interface Cursor extends Point {
  /** By node: what isn't dropped yet. */
  moving?: Record<string, Moving>;
}

/** What a member shows of itself to others; at most 4 KiB. */
export interface PresenceMeta extends JsonObject {
  name?: string;
  /** A CSS colour. */
  color?: string;
  /** The nodes and edges that are selected; the first of them, where they are more than can be told. */
  selection?: string[];
  /** How many they are then. */
  selected?: number;
  /** What is being edited, such as `{ node: "n1", field: "label" }`. */
  editing?: JsonObject | null;
}

/** Who is in the flow: one for each tab or program. */
export interface Member {
  clientId: string;
  /** The same for all tabs of one person. */
  key: string;
  name: string;
  color: string;
  isSelf: boolean;
  meta: PresenceMeta;
}

/** All that a `FlowSync` knows. Each change makes a new one that shares what is the same. */
export interface FlowState {
  /** What to show: what is confirmed, with one's own changes on top. `null` while loading. */
  document: FlowDocument | null;
  /** The version of what is confirmed. */
  version: number;
  /** The identity of the log; `null` before the first join. */
  epoch: string | null;
  /** `"viewer"`, `"editor"` or `"owner"`; `null` before the first join. */
  role: string | null;
  status: FlowStatus;
  members: readonly Member[];
  /** By client_id; never one's own. */
  cursors: ReadonlyMap<string, Cursor>;
  /**
   * Another number whenever versions may have other names than before: by somebody's doing, or
   * unseen while it was not joined. The names themselves are listed by REST.
   */
  namesChanged: number;
  /** What was refused and not dismissed yet, oldest first. */
  refusals: readonly Refusal[];
  /** What was dropped and not dismissed yet, likewise. */
  dropped: readonly Dropped[];
  canUndo: boolean;
  canRedo: boolean;
}

/** What a `FlowSync` tells as it happens, once its state shows it. */
export type FlowEvent =
  /** The log has grown; one's own entries are among them. */
  | { type: "entries"; entries: readonly FlowEntry[] }
  /** The document came whole, so what changed is unknown. */
  | { type: "replaced"; epoch: string; version: number }
  /** Of texts in which one has changed the same words as somebody else at once: both versions stand there. */
  | { type: "conflict"; paths: readonly string[] }
  | { type: "refused"; refusal: Refusal }
  | { type: "dropped"; dropped: Dropped }
  | { type: "closed"; error: FlowError };

/** Who one is, to others. */
export interface FlowUser {
  /** The same in all tabs of one person. */
  id?: string;
  name: string;
  /** A CSS colour. */
  color?: string;
}

/** A patch of this client that waits for the server, as it is kept. */
export interface KeptOperation {
  clientId: string;
  opId: number;
  patch: JsonObject;
  /** When it was made: what was made later has the larger number. */
  at?: number;
  /** The operations of the same client that it takes back, while all of those are on their way. */
  undoes?: number[];
  /** Of what its texts were made, by their JSON Pointers: see `GatherOptions.isText`. */
  bases?: Readonly<Record<string, string>>;
  /** Of what takes something else back: the values that it replaces, as they were at a version. */
  replaces?: { version: number; values: JsonObject };
}

/** A confirmed document, as it is kept. */
export interface KeptDocument {
  epoch: string;
  version: number;
  /** What the log comes to up to there; see docs/protocol.md. */
  chain?: string | null;
  document: FlowDocument;
  /** A page that showed it has crashed: the server's comes first, where that can be had. */
  isDoubtful?: boolean;
}

/** What was kept of a flow. */
export interface Kept {
  document: KeptDocument | null;
  /** Every client's operations, by `opId`. */
  operations: KeptOperation[];
  /** Whether there may be more that can't be read now. */
  isPartial?: boolean;
}

/**
 * Keeps a flow for later visits: in the browser, as a rule.
 *
 * What fails to be kept is lost with the page, no more: no method throws or rejects. What isn't answered
 * within some seconds is done without.
 */
export interface FlowKeeper {
  /** Give what was kept of a flow. */
  load(flowId: string): Promise<Kept>;
  /**
   * Keep an operation, or what it has become. It is durable at once where that can be.
   *
   * @returns `false` where it could not be kept.
   */
  put(flowId: string, operation: KeptOperation): boolean | Promise<boolean>;
  remove(flowId: string, clientId: string, opId: number): void;
  /** Keep a confirmed document in place of the one before. */
  putDocument(flowId: string, document: KeptDocument): void;
  /**
   * Hold a client's name for as long as this page lives.
   *
   * @param wait milliseconds to wait until it is free; none where nothing is said.
   * @returns lets go of it; `null` where another page holds it.
   */
  hold(flowId: string, clientId: string, wait?: number): Promise<(() => void) | null>;
}

/** One that can tell what it keeps of all flows. */
export interface UnsentKeeper extends FlowKeeper {
  /** Count what no server has confirmed, by flow. */
  unsentFlows(): Promise<ReadonlyMap<string, number>>;
}

/** What a `FlowSync` is made from. */
export interface FlowSyncOptions {
  /** The server, as `https://flows.example`; by default the one that the page came from. */
  url?: string;
  user?: FlowUser;
  /** Who one is, to the server; a function is asked at each connect, and again where it fails. */
  token?: string | (() => string | Promise<string>);
  /** Where it is kept; by default in the browser (IndexedDB, localStorage), `null` for nowhere. */
  keeper?: FlowKeeper | null;
  /**
   * What an empty flow is to begin with: a patch, sent once it turns out to have no entry, and taken by the
   * server only as long as that is so. Nothing is told where somebody else has begun the flow meanwhile.
   */
  initial?: JsonObject;
  /** Another WebSocket than the platform's. */
  webSocket?: new (url: string, protocols?: string | string[]) => object;
  /** Draws ids and waits: a number from 0 up to, not including, 1. */
  random?: () => number;
}

/** A flow of which this browser has changes that no server has confirmed. */
export interface UnsentFlow {
  flowId: string;
  /** As it was last known here; `null` where it never was. */
  title: string | null;
  /** How many changes. */
  count: number;
  /** Why they could not be sent when that was tried last; `null` where it wasn't tried. */
  error: FlowError | null;
}

/** What wasn't taken as it was meant, of a flow that no page has open. */
export type UnsentEvent = Extract<FlowEvent, { type: "refused" | "dropped" }> & {
  flowId: string;
  title: string | null;
};

/** What an `Unsent` is made from. All flows that this browser keeps are taken for flows of this server. */
export interface UnsentOptions extends Omit<FlowSyncOptions, "initial" | "keeper"> {
  /** The flow that this page has open, whose changes it sends itself. */
  except?: string;
  /** Where changes are kept; by default in the browser. */
  keeper?: UnsentKeeper;
}

/** How changes are gathered before they are sent. */
export interface GatherOptions {
  /** Milliseconds after the first change at which they are sent: 500 as a rule, 1000 at most. */
  wait?: number;
  /**
   * The strings of the patch are texts, made of what is shown: where others write in them at the same time
   * what all write stays, in place of what comes last.
   */
  isText?: boolean;
}

/**
 * One flow, held in step with its server. `FlowSync` is this.
 *
 * Every change is shown at once, kept, and sent as soon as can be: in order, and again until the
 * server has answered; none is applied twice.
 */
export interface SyncedFlow {
  readonly flowId: string;
  /** What entries, members and cursors call this page. The name that it joins by is its secret. */
  readonly clientId: string;
  /** What is known now. It is another object after each change, and the same until then. */
  readonly state: FlowState;

  /** Load what was kept, connect and join. Called again after `stop`, it begins anew. */
  start(): void;
  /** Send what is gathered, leave, and keep the rest for the next visit. */
  stop(): void;

  /** Have `listener` called after each change of `state`. Returns what ends that. */
  readonly subscribe: (listener: () => void) => () => void;
  /** Have `listener` called with each event. Returns what ends that. */
  listen(listener: (event: FlowEvent) => void): () => void;

  /**
   * Change the document by a JSON Merge Patch of it. One patch is one step of undo, also where it is so
   * large that it has to be sent in parts.
   *
   * Where there is nothing to change, nothing is sent.
   *
   * @throws TypeError where it can't be told in JSON, with the JSON Pointer of that:
   * `/nodes/a/data/x: NaN can't be told in JSON`. So does `gather`.
   */
  patch(patch: JsonObject): void;
  /**
   * Change the document bit by bit, as by typing: shown at once, sent together after a while, by
   * `flush`, or before any other change. All that is gathered under one key in a row is one step of
   * undo, even where it is sent in parts.
   */
  gather(key: string, patch: JsonObject, options?: GatherOptions): void;
  /** Send what is gathered now, and end its step of undo: on blur, say. */
  flush(): void;

  /**
   * Undo one's own last step by a patch that leaves alone what others have changed since.
   *
   * Steps of which nothing is left to undo are passed over. Returns whether something changed.
   */
  undo(): boolean;
  /** Do again what was undone last, by the same rule. */
  redo(): boolean;

  /** Show others one's pointer, and what one drags; at most 30 times a second. `null`: it is gone. */
  setCursor(cursor: Cursor | null): void;
  /** Show others more of oneself; members that are given replace those before. */
  setPresence(meta: PresenceMeta): void;

  /**
   * Have no page begin from what is kept of the document here, where the server can be reached: this page
   * has crashed, perhaps by it. What is unsent stays kept.
   */
  doubtKept(): void;

  /** Try to connect now instead of later. */
  readonly retryNow: () => void;
  /** Tell of a change that can't be made, as of one that the server has refused. */
  refuse(error: FlowError, patch: JsonObject): void;
  /** Take something out of `state.refusals` or `state.dropped`; everything where nothing is said. */
  dismiss(told?: Refusal | Dropped): void;
  /**
   * Bring back what somebody deleted, with one's own changes that were dropped on top, and those of its
   * edges whose ends exist then, as one step of undo. It is dismissed by that.
   *
   * @returns whether there was something to bring back.
   */
  restore(...dropped: readonly Dropped[]): boolean;
}
