/** What React Flow shows of a flow: the document, with what is one's own and what others drag. */

import type { Edge, Node } from "@xyflow/react";

import { compareIds } from "../document";
import { same } from "../mergepatch";
import { strays } from "../nesting";
import type { Cursor, FlowDocument, JsonObject, Moving } from "../types";
import { type PersonalEdge, type PersonalNode, without } from "./personal";

interface Made<T> {
  document: JsonObject;
  personal: object | undefined;
  moving: Moving | undefined;
  element: T;
}

/**
 * Makes nodes and edges of a document.
 *
 * An element whose parts are the same is the very same object as before, and so is a list of such: React
 * renders nothing anew for it.
 */
export class FlowView<N extends Node, E extends Edge> {
  #document: FlowDocument | null = null;
  /** The document's nodes as they are drawn. */
  #members: Record<string, JsonObject> = {};
  #ordered: [id: string, node: JsonObject][] = [];
  /** What nodes lay in when somebody else began to move them there. */
  readonly #parents = new WeakMap<Moving, unknown>();
  #madeNodes = new Map<string, Made<N>>();
  #madeEdges = new Map<string, Made<E>>();
  nodes: N[] = [];
  edges: E[] = [];

  /** Show this from now on. */
  show(
    document: FlowDocument | null,
    personalNodes: ReadonlyMap<string, PersonalNode>,
    personalEdges: ReadonlyMap<string, PersonalEdge>,
    moving: ReadonlyMap<string, Moving>,
  ): void {
    const isNew = document !== this.#document;
    this.#document = document;
    if (document !== null && document.nodes !== this.#members) {
      this.#members = document.nodes;
      this.#ordered = inOrder(document.nodes);
    }
    const ordered = document === null ? [] : this.#ordered;
    const madeNodes = make<N>(ordered, this.#madeNodes, personalNodes, this.#inPlace(moving));
    this.#madeNodes = madeNodes;
    this.nodes = keep(this.nodes, parentsFirst(madeNodes));
    if (isNew || personalEdges.size > 0 || this.edges.some(({ selected }) => selected)) {
      const edges = Object.entries(document?.edges ?? {});
      this.#madeEdges = make<E>(edges, this.#madeEdges, personalEdges, NOTHING);
      this.edges = keep(this.edges, [...this.#madeEdges.values()].map(({ element }) => element));
    }
  }

  /** Leave out the places that count in something else than what the node lies in by now. */
  #inPlace(moving: ReadonlyMap<string, Moving>): ReadonlyMap<string, Moving> {
    const current = [...moving].filter(([id, one]) => {
      const parent = this.#members[id]?.["parentId"];
      if (!this.#parents.has(one)) {
        this.#parents.set(one, parent);
      }
      return this.#parents.get(one) === parent;
    });
    return current.length === moving.size ? moving : new Map(current);
  }

  node(id: string): N | undefined {
    return this.#madeNodes.get(id)?.element;
  }

  edge(id: string): E | undefined {
    return this.#madeEdges.get(id)?.element;
  }
}

const NOTHING: ReadonlyMap<string, Moving> = new Map();

/**
 * List nodes in the order that is the same for everybody, that of their ids: what lies above is told by
 * their `zIndex`. One whose parent can't be is read as if it had none.
 */
function inOrder(nodes: FlowDocument["nodes"]): [string, JsonObject][] {
  const lost = strays(nodes);
  return Object.entries(nodes)
    .sort(([a], [b]) => compareIds(a, b))
    .map(([id, node]) => [id, lost.has(id) ? without(node, "parentId") : node]);
}

function make<T>(
  members: readonly [string, JsonObject][],
  before: ReadonlyMap<string, Made<T>>,
  personals: ReadonlyMap<string, object>,
  movings: ReadonlyMap<string, Moving>,
): Map<string, Made<T>> {
  const made = new Map<string, Made<T>>();
  for (const [id, document] of members) {
    const personal = personals.get(id);
    const moving = movings.get(id);
    const old = before.get(id);
    if (old?.document === document && old.personal === personal && old.moving === moving) {
      made.set(id, old);
      continue;
    }
    const element = { ...document, ...shownAs(moving), ...personal } as T;
    made.set(id, { document, personal, moving, element });
  }
  return made;
}

/** List nodes as React Flow wants them: each behind its parent, else in the order that they have. */
function parentsFirst<N extends Node>(made: ReadonlyMap<string, Made<N>>): N[] {
  const listed = new Set<N>();
  const list = (node: N, under: ReadonlySet<N>): void => {
    const parent = node.parentId === undefined ? undefined : made.get(node.parentId)?.element;
    if (parent !== undefined && !listed.has(parent) && !under.has(parent)) {
      list(parent, new Set([...under, node]));
    }
    listed.add(node);
  };
  for (const { element } of made.values()) {
    if (element.parentId === undefined) {
      listed.add(element);
    } else if (!listed.has(element)) {
      list(element, new Set());
    }
  }
  return [...listed];
}

/** Give the list as it was, where it is the same. */
function keep<T>(before: T[], now: T[]): T[] {
  const isSame = before.length === now.length && before.every((one, n) => one === now[n]);
  return isSame ? before : now;
}

/** Give a node's place and size while somebody else drags or resizes it. */
function shownAs(moving: Moving | undefined): JsonObject {
  if (moving === undefined) {
    return {};
  }
  const { x, y, ...size } = moving;
  return { position: { x, y }, ...size };
}

/** Tell where, and how large, others have nodes at the moment; what is the same stays the same object. */
export function movingOf(
  cursors: ReadonlyMap<string, Cursor>,
  before: ReadonlyMap<string, Moving>,
): ReadonlyMap<string, Moving> {
  const moving = new Map<string, Moving>();
  for (const cursor of cursors.values()) {
    for (const [id, { x, y, width, height }] of Object.entries(cursor.moving ?? {})) {
      const now = {
        x,
        y,
        ...(width === undefined ? {} : { width }),
        ...(height === undefined ? {} : { height }),
      };
      const old = before.get(id);
      moving.set(id, old !== undefined && same(old, now) ? old : now);
    }
  }
  return moving;
}
