/** What React Flow shows: the document, with one's own state and others' drags on top. */

import type { Edge, Node } from "@xyflow/react";

import { compareIds } from "../model/document.js";
import { own, same } from "../model/mergepatch.js";
import { parentsFirst, strays } from "../model/nesting.js";
import type { FlowDocument, FlowEdge, FlowNode, JsonObject, Moving, Point } from "../types.js";
import { type PersonalEdge, type PersonalNode, without } from "./personal.js";

interface Made<T> {
  document: JsonObject;
  personal: object | undefined;
  moving: Moving | undefined;
  element: T;
}

/** What is done to the document's nodes and edges before React Flow gets them. */
export interface Sanitizing {
  node: (node: FlowNode) => JsonObject;
  edge: (edge: FlowEdge) => JsonObject;
}

/**
 * Makes React Flow's nodes and edges from a document.
 *
 * An unchanged element, and an unchanged list, stay the very same objects, so React doesn't render them
 * again.
 */
export class FlowView<N extends Node, E extends Edge> {
  #document: FlowDocument | null = null;
  /** The document's nodes as they are drawn. */
  #members: FlowDocument["nodes"] = {};
  #ordered: [id: string, node: FlowNode][] = [];
  /** Places that are only shown, because somebody else is dragging a node there. */
  readonly #previewed = new WeakMap<Point, Moving>();
  /** The parents that nodes had when somebody else began to drag them. */
  readonly #parents = new WeakMap<Moving, unknown>();
  #madeNodes = new Map<string, Made<N>>();
  #madeEdges = new Map<string, Made<E>>();
  nodes: N[] = [];
  edges: E[] = [];
  readonly #sanitizing: Sanitizing;

  constructor(sanitizing: Sanitizing) {
    this.#sanitizing = sanitizing;
  }

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
    const shownAs = (one: Moving): JsonObject => this.#shownAs(one);
    const current = this.#inPlace(moving);
    const madeNodes = make<FlowNode, N>(ordered, this.#sanitizing.node, this.#madeNodes, personalNodes, current, shownAs);
    this.#madeNodes = madeNodes;
    this.nodes = keep(this.nodes, listed(madeNodes));
    if (isNew || personalEdges.size > 0 || this.edges.some(({ selected }) => selected)) {
      const edges = Object.entries(document?.edges ?? {});
      this.#madeEdges = make<FlowEdge, E>(edges, this.#sanitizing.edge, this.#madeEdges, personalEdges);
      this.edges = keep(this.edges, [...this.#madeEdges.values()].map(({ element }) => element));
    }
  }

  /** Leave out places that are relative to a parent that the node has no more. */
  #inPlace(moving: ReadonlyMap<string, Moving>): ReadonlyMap<string, Moving> {
    const current = [...moving].filter(([id, one]) => {
      const parent = own(this.#members, id)?.["parentId"];
      if (!this.#parents.has(one)) {
        this.#parents.set(one, parent);
      }
      return this.#parents.get(one) === parent;
    });
    return current.length === moving.size ? moving : new Map(current);
  }

  /** Give a node's place and size while somebody else drags or resizes it. */
  #shownAs(moving: Moving): JsonObject {
    const { x, y, ...size } = moving;
    const position = { x, y };
    this.#previewed.set(position, moving);
    return { position, ...size };
  }

  /**
   * Give a node that an app passes back, without what is only shown of it: a place to which somebody else
   * drags the node is theirs to write.
   */
  withoutPreview(node: N): N {
    const document = own(this.#members, node.id);
    const moving = this.#previewedAt(node.id, node.position);
    if (document === undefined || moving === undefined) {
      return node;
    }
    const sizes = (["width", "height"] as const).filter((side) => node[side] === moving[side]);
    const kept = Object.fromEntries(sizes.flatMap((side) => (Object.hasOwn(document, side) ? [[side, document[side]]] : [])));
    return { ...without(node, ...sizes), position: document["position"], ...kept } as N;
  }

  /** Apply a step from a node's shown place to its place in the document. */
  stepped(id: string, to: Point): Point {
    const shown = this.node(id)?.position;
    if (shown === undefined || !this.#previewed.has(shown)) {
      return to;
    }
    const { x, y } = own(this.#members, id)?.["position"] as Point;
    return { x: to.x - shown.x + x, y: to.y - shown.y + y };
  }

  #previewedAt(id: string, position: Point): Moving | undefined {
    const shown = this.node(id)?.position;
    const copied = shown !== undefined && same(shown, position) ? this.#previewed.get(shown) : undefined;
    return this.#previewed.get(position) ?? copied;
  }

  node(id: string): N | undefined {
    return this.#madeNodes.get(id)?.element;
  }

  edge(id: string): E | undefined {
    return this.#madeEdges.get(id)?.element;
  }
}

/**
 * List nodes in the order of their ids, which is the same for everybody: their `zIndex` says what lies above.
 * A node with an impossible parent is read as if it had none.
 */
function inOrder(nodes: FlowDocument["nodes"]): [string, FlowNode][] {
  const lost = strays(nodes);
  return Object.entries(nodes)
    .sort(([a], [b]) => compareIds(a, b))
    .map(([id, node]) => [id, lost.has(id) ? (without(node, "parentId") as FlowNode) : node]);
}

function make<M extends JsonObject, T>(
  members: readonly [string, M][],
  sanitize: (member: M) => JsonObject,
  before: ReadonlyMap<string, Made<T>>,
  personals: ReadonlyMap<string, object>,
  movings?: ReadonlyMap<string, Moving>,
  shownAs?: (moving: Moving) => JsonObject,
): Map<string, Made<T>> {
  const made = new Map<string, Made<T>>();
  for (const [id, document] of members) {
    const personal = personals.get(id);
    const moving = movings?.get(id);
    const old = before.get(id);
    if (old?.document === document && old.personal === personal && old.moving === moving) {
      made.set(id, old);
      continue;
    }
    const moved = moving === undefined ? {} : shownAs?.(moving);
    const element = { ...sanitize(document), ...moved, ...personal } as T;
    made.set(id, { document, personal, moving, element });
  }
  return made;
}

/** List nodes as React Flow needs them: each after its parent, otherwise in their order. */
function listed<N extends Node>(made: ReadonlyMap<string, Made<N>>): N[] {
  const ids = parentsFirst(made.keys(), (id) => made.get(id)?.element.parentId);
  return ids.flatMap((id) => made.get(id)?.element ?? []);
}

/** Give the old list if it is equal. */
function keep<T>(before: T[], now: T[]): T[] {
  const isSame = before.length === now.length && before.every((one, n) => one === now[n]);
  return isSame ? before : now;
}
