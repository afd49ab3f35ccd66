/** Connects a `FlowSync` to React Flow: what React Flow shows, and how its changes become patches. */

import type { Connection, Edge, EdgeChange, Node, NodeChange } from "@xyflow/react";

import { connecting, reconnecting } from "../model/connections.js";
import { diff, isEmpty, own } from "../model/mergepatch.js";
import { sanitizeEdge, sanitizeNode } from "../model/sanitizing.js";
import { sparing } from "../model/telling.js";
import type { Cursor, FlowDocument, JsonObject, Moving, Point, SyncedFlow } from "../types.js";
import { GivenUp } from "./cancelling.js";
import { type Course, courseOf, isHolding } from "./gesture.js";
import {
  type PersonalEdge,
  type PersonalNode,
  shared,
  sharedNode,
  without,
} from "./personal.js";
import { Previews, RENEWAL } from "./previews.js";
import { Refusing } from "./refusing.js";
import { FlowView, type Sanitizing } from "./view.js";

/** What React renders. Each change makes a new object. */
export interface Shown<N extends Node, E extends Edge> {
  readonly nodes: N[];
  readonly edges: E[];
}

type Change<T extends { type: string }, K extends T["type"]> = Extract<T, { type: K }>;

/** Shows one flow to one React Flow. */
export class FlowController<N extends Node, E extends Edge> {
  readonly sync: SyncedFlow;
  readonly #view: FlowView<N, E>;
  readonly #listeners = new Set<() => void>();
  readonly #refusing = new Refusing();
  #nodes = new Map<string, PersonalNode>();
  #edges = new Map<string, PersonalEdge>();
  readonly #previews = new Previews();
  readonly #givenUp = new GivenUp();
  #pointer: Point | null = null;
  /** What this person drags or resizes, or has dropped and isn't confirmed yet. */
  #dragged: Record<string, Moving> = {};
  #shown: Shown<N, E> = { nodes: [], edges: [] };
  /** What that was made from, besides this person's own state. */
  #seen: { document: FlowDocument | null; moving: ReadonlyMap<string, Moving> | null } = { document: null, moving: null };
  /** While others' drags are shown: ends those that time out. */
  #expiry: ReturnType<typeof setTimeout> | undefined;
  /** During one's own drag: repeats it to others. */
  #renewal: ReturnType<typeof setInterval> | undefined;

  constructor(sync: SyncedFlow, sanitizing: Partial<Sanitizing> = {}) {
    this.sync = sync;
    this.#view = new FlowView({ node: sanitizeNode, edge: sanitizeEdge, ...sanitizing });
    this.#show();
  }

  get shown(): Shown<N, E> {
    return this.#shown;
  }

  /** Follow the flow. Returns a function that ends this. */
  start(): () => void {
    const ends = this.sync.subscribe(() => {
      if (this.sync.state.may?.includes("edit") === false) {
        this.cancelGesture();
      }
      this.#letGo();
      this.#follow();
    });
    this.sync.start();
    return () => {
      ends();
      clearTimeout(this.#expiry);
      this.#expiry = undefined;
      clearInterval(this.#renewal);
      this.#renewal = undefined;
      this.sync.stop();
    };
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  // React Flow's calls

  onNodesChange = (given: NodeChange<N>[]): void => {
    const changes = this.#givenUp.left(given);
    const isHeld = [...this.#nodes.values()].some(isHolding);
    const course = courseOf(changes, isHeld);
    const patches = new NodePatches();
    for (const change of changes) {
      this.#takeNodeChange(change, course, patches);
    }
    if (changes.some(({ type }) => type === "select")) {
      this.#tellSelection();
    }
    if (course === "ends") {
      this.#drop(patches);
    }
    this.#submit(patches);
    this.#refusing.tell(this.sync);
    this.#show();
  };

  onEdgesChange = (changes: EdgeChange<E>[]): void => {
    const removed: JsonObject = {};
    const replaced: JsonObject = {};
    for (const change of changes) {
      if (change.type === "select") {
        this.#edges.set(change.id, { selected: change.selected });
      } else if (change.type === "remove") {
        removed[change.id] = null;
      } else if (change.type === "add") {
        put(replaced, change.item.id, this.#refusing.take(shared(change.item)));
      } else {
        replaced[change.id] = this.#difference(this.#view.edge(change.id), change.item);
      }
    }
    this.#gather("remove", { edges: removed }, 0);
    this.#gather(`edges:${Object.keys(replaced).join()}`, { edges: replaced });
    this.#refusing.tell(this.sync);
    this.#show();
    this.#tellSelection();
  };

  onConnect = (connection: Connection): void => {
    const edges = this.sync.state.document?.edges;
    if (edges !== undefined) {
      this.#patch(connecting(edges, [connection]));
    }
  };

  onReconnect = ({ id }: Pick<Edge, "id">, connection: Connection): void => {
    const edges = this.sync.state.document?.edges;
    const led = edges === undefined ? null : reconnecting(edges, id, connection);
    if (led !== null) {
      const personal = this.#edges.get(id);
      this.#patch(led.patch);
      if (led.id !== id && personal !== undefined) {
        // It is still the same edge, and stays selected.
        this.#edges.set(led.id, personal);
        this.#show();
        this.#tellSelection();
      }
    }
  };

  /** Cancel a drag or resize: for everybody, the nodes are back where they were. */
  cancelGesture = (): void => {
    const held = [...this.#nodes].filter(([, personal]) => isHolding(personal));
    if (held.length === 0) {
      return;
    }
    const isGoing = ({ dragging, resizing }: PersonalNode): boolean => (dragging ?? resizing) === true;
    this.#givenUp.add(held.filter(([, personal]) => isGoing(personal)).map(([id]) => id));
    for (const [id, personal] of held) {
      this.#nodes.set(id, without(personal, ...HELD));
    }
    this.#dragged = without(this.#dragged, ...held.map(([id]) => id));
    this.#tellCursor();
    this.#show();
  };

  /** Treat React Flow's changes from now on as a new gesture. */
  beginGesture = (): void => {
    this.#givenUp.clear();
  };

  setCursor = (cursor: Cursor | null): void => {
    if (cursor !== null && !isFinitePoint(cursor)) {
      return;
    }
    this.#pointer = cursor === null ? null : { x: cursor.x, y: cursor.y };
    this.#tellCursor();
  };

  // inside

  #takeNodeChange(change: NodeChange<N>, course: Course, patches: NodePatches): void {
    switch (change.type) {
      case "position":
        this.#move(change, course, patches);
        break;
      case "dimensions":
        this.#resize(change, course, patches);
        break;
      case "select":
        this.#personal(change.id, { selected: change.selected });
        break;
      case "remove":
        patches.removed[change.id] = null;
        break;
      case "add":
        put(patches.added, change.item.id, this.#refusing.take(sharedNode(change.item)));
        break;
      case "replace":
        this.#replace(change, patches);
        break;
    }
  }

  #move(
    { id, position, dragging }: Change<NodeChange<N>, "position">,
    course: Course,
    patches: NodePatches,
  ): void {
    const to = isFinitePoint(position) ? { x: position.x, y: position.y } : undefined;
    if (this.#view.node(id) === undefined) {
      // Somebody has deleted it meanwhile.
    } else if (course === "goes" || course === "ends") {
      this.#hold(id, {
        ...(to === undefined ? {} : { position: to }),
        ...(dragging === undefined ? {} : { dragging }),
      });
    } else if (course === "step" && to !== undefined) {
      patches.move(id, { position: this.#view.stepped(id, to), parentId: this.#parentOf(id) });
    }
  }

  #resize(
    change: Change<NodeChange<N>, "dimensions">,
    course: Course,
    patches: NodePatches,
  ): void {
    const { id, resizing, setAttributes: sides } = change;
    const dimensions = isFiniteSize(change.dimensions) ? change.dimensions : undefined;
    if (dimensions !== undefined) {
      this.#personal(id, { measured: { ...dimensions } });
    }
    const size =
      !sides || dimensions === undefined
        ? {}
        : {
            ...(sides === "height" ? {} : { width: dimensions.width }),
            ...(sides === "width" ? {} : { height: dimensions.height }),
          };
    if (course === "goes" || course === "ends") {
      this.#hold(id, { ...size, ...(resizing === undefined ? {} : { resizing }) });
    } else if (course === "step" && !isEmpty(size)) {
      patches.move(id, size);
    }
  }

  /** Take an element that replaces another one; this may end its drag. */
  #replace(given: Change<NodeChange<N>, "replace">, patches: NodePatches): void {
    const { id } = given;
    const item = this.#view.withoutPreview(given.item);
    const shown = this.#view.node(id);
    const before = shown === undefined ? undefined : this.#view.withoutPreview(shown);
    const change = placed(this.#difference(before, item), item);
    const { position: { x, y }, parentId = null } = item;
    if (this.#nodes.get(id)?.dragging === true) {
      this.#nodes.set(id, without(this.#nodes.get(id) ?? {}, "position", "dragging"));
      patches.dropped[id] = { ...change, position: { x, y }, parentId };
    } else {
      patches.replaced[id] = change;
    }
  }

  /** Show a node's place and size while it is dragged or resized, here and to others. */
  #hold(id: string, change: PersonalNode): void {
    this.#personal(id, change);
    const { position, width, height } = this.#nodes.get(id) ?? {};
    const { x, y } = position ?? this.#view.node(id)?.position ?? {};
    if ((position ?? width ?? height) !== undefined && x !== undefined && y !== undefined) {
      const size = {
        ...(width === undefined ? {} : { width }),
        ...(height === undefined ? {} : { height }),
      };
      this.#dragged[id] = { x, y, ...size };
    }
    this.#tellCursor();
  }

  /** Write to the document what was dragged or resized, and what moved or grew with it. */
  #drop(patches: NodePatches): void {
    for (const [id, personal] of this.#nodes) {
      const { position, width, height, dragging, resizing } = personal;
      if (dragging === true || resizing === true) {
        continue;
      }
      if ((position ?? width ?? height) !== undefined) {
        patches.dropped[id] = {
          ...(position === undefined
            ? {}
            : { position: { x: position.x, y: position.y }, parentId: this.#parentOf(id) }),
          ...(width === undefined ? {} : { width }),
          ...(height === undefined ? {} : { height }),
        };
      }
      this.#nodes.set(id, without(personal, ...HELD));
    }
  }

  /** Give what a node's position is relative to. It is sent with the position, since others may change it. */
  #parentOf(id: string): string | null {
    return this.#view.node(id)?.parentId ?? null;
  }

  /** Give what an app changed in an element that it was given. */
  #difference(before: N | E | undefined, now: N | E): JsonObject {
    const { id, selected } = now;
    if (selected !== undefined && selected !== before?.selected) {
      const personals: Map<string, PersonalNode | PersonalEdge> =
        "source" in now ? this.#edges : this.#nodes;
      personals.set(id, { ...personals.get(id), selected });
    }
    const after = shared(now);
    const told = this.#refusing.take(after);
    if (before === undefined) {
      return told;
    }
    // The first two names of a path are the element's.
    return sparing(diff(shared(before).told, told), after.gaps.map((gap) => gap.slice(2)));
  }

  #submit(patches: NodePatches): void {
    const { added, dropped, moved, replaced, removed } = patches;
    if (!isEmpty(added)) {
      this.#patch({ nodes: added });
    }
    if (!isEmpty(dropped)) {
      this.#patch({ nodes: dropped });
    }
    this.#gather("move", { nodes: moved });
    this.#gather(`nodes:${Object.keys(replaced).join()}`, { nodes: replaced });
    // React Flow removes a node's edges first, by a call of its own.
    this.#gather("remove", { nodes: removed }, 0);
    if (!isEmpty(dropped)) {
      this.#letGo();
      this.#tellCursor();
    }
  }

  #gather(key: string, patch: JsonObject, wait?: number): void {
    const isNothing = Object.values(patch).every((members) => isEmpty(members as JsonObject));
    if (!isNothing) {
      this.#attempt(patch, () => {
        this.sync.gather(key, patch, wait === undefined ? {} : { wait });
      });
    }
  }

  #patch(patch: JsonObject): void {
    this.#attempt(patch, () => {
      this.sync.patch(patch);
    });
  }

  /** Change something. An error is reported as a refusal: React Flow has no caller to throw to, and would crash. */
  #attempt(patch: JsonObject, change: () => void): void {
    try {
      change();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.sync.refuse({ reason, code: "invalid_patch" }, patch);
    }
  }

  #personal(id: string, change: PersonalNode): void {
    this.#nodes.set(id, { ...this.#nodes.get(id), ...change });
  }

  /** Stop showing others a finished drag, once they have its patch. */
  #letGo(): void {
    const { kind, unsent } = this.sync.state.status;
    // What is held back may never come to others.
    if (isEmpty(this.#dragged) || (unsent > 0 && kind !== "held")) {
      return;
    }
    const held = Object.entries(this.#dragged).filter(([id]) => isHolding(this.#nodes.get(id)));
    if (held.length < Object.keys(this.#dragged).length) {
      this.#dragged = Object.fromEntries(held);
      this.#tellCursor();
    }
  }

  #tellCursor(): void {
    if (isEmpty(this.#dragged)) {
      clearInterval(this.#renewal);
      this.#renewal = undefined;
    } else {
      this.#renewal ??= setInterval(() => {
        this.#tellCursor();
      }, RENEWAL);
    }
    const [first] = Object.values(this.#dragged);
    const point = this.#pointer ?? first;
    const moving = isEmpty(this.#dragged) ? {} : { moving: this.#dragged };
    this.sync.setCursor(point === undefined ? null : { x: point.x, y: point.y, ...moving });
  }

  #tellSelection(): void {
    const ids = (personals: ReadonlyMap<string, { selected?: boolean }>): string[] =>
      [...personals].filter(([, { selected }]) => selected).map(([id]) => id);
    this.sync.setPresence({ selection: [...ids(this.#nodes), ...ids(this.#edges)] });
  }

  /** Show what others have changed. If only their pointers moved, nothing has to be rebuilt. */
  #follow(): void {
    const { document, cursors } = this.sync.state;
    const moving = this.#previews.take(document?.nodes ?? {}, cursors, performance.now());
    if (document === this.#seen.document && moving === this.#seen.moving) {
      this.#expire();
    } else {
      this.#show();
    }
  }

  #show(): void {
    const { document, cursors } = this.sync.state;
    if (document !== null) {
      forget(this.#nodes, document.nodes);
      forget(this.#edges, document.edges);
    }
    const moving = this.#previews.take(document?.nodes ?? {}, cursors, performance.now());
    this.#seen = { document, moving };
    this.#expire();
    this.#view.show(document, this.#nodes, this.#edges, moving);
    const { nodes, edges } = this.#view;
    if (nodes !== this.#shown.nodes || edges !== this.#shown.edges) {
      this.#shown = { nodes, edges };
      for (const listener of [...this.#listeners]) {
        listener();
      }
    }
  }

  /** Look again when a drag of others times out. */
  #expire(): void {
    clearTimeout(this.#expiry);
    const { endsAt } = this.#previews;
    if (endsAt !== null) {
      this.#expiry = setTimeout(() => {
        this.#show();
      }, Math.max(0, endsAt - performance.now()));
    }
  }
}

/** Fields of a node that are one's own only during a drag or resize. */
const HELD = ["position", "width", "height", "dragging", "resizing"] as const;

/** The patches of one call by React Flow, by node. */
class NodePatches {
  readonly added: JsonObject = {};
  readonly dropped: JsonObject = {};
  readonly moved: JsonObject = {};
  readonly replaced: JsonObject = {};
  readonly removed: JsonObject = {};

  move(id: string, change: JsonObject): void {
    this.moved[id] = { ...(own(this.moved, id) as JsonObject | undefined), ...change };
  }
}

/** Add what can be sent of an element, if anything. */
function put(members: JsonObject, id: string, told: JsonObject): void {
  if (!isEmpty(told)) {
    members[id] = told;
  }
}

/** Let a change that moves a node contain both the position and the parent that it is relative to. */
function placed(change: JsonObject, { position: { x, y }, parentId }: Node): JsonObject {
  const isMoved = Object.hasOwn(change, "position") || Object.hasOwn(change, "parentId");
  return isMoved ? { ...change, position: { x, y }, parentId: parentId ?? null } : change;
}

/** Forget one's own state of members that are gone. */
function forget(personals: Map<string, unknown>, members: Record<string, unknown>): void {
  for (const id of personals.keys()) {
    if (!Object.hasOwn(members, id)) {
      personals.delete(id);
    }
  }
}

function isFinitePoint(point: Point | undefined): point is Point {
  return point !== undefined && Number.isFinite(point.x) && Number.isFinite(point.y);
}

function isFiniteSize(size: { width: number; height: number } | undefined): boolean {
  return size !== undefined && Number.isFinite(size.width) && Number.isFinite(size.height);
}
