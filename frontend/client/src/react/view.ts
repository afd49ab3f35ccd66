/** What React Flow shows of a flow: the document, with what is one's own and what others drag. */

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

/** What becomes of the document's nodes and edges before React Flow is given them. */
export interface Sanitizing {
  node: (node: FlowNode) => JsonObject;
  edge: (edge: FlowEdge) => JsonObject;
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
  #members: FlowDocument["nodes"] = {};
  #ordered: [id: string, node: FlowNode][] = [];
  /** The places that are only shown, since somebody else has a node there and hasn't dropped it. */
  readonly #lent = new WeakMap<Point, Moving>();
  /** What nodes lay in when somebody else began to move them there. */
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

  /** Leave out the places that count in something else than what the node lies in by now. */
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
    this.#lent.set(position, moving);
    return { position, ...size };
  }

  /**
   * Give a node, as an app was shown it, without what is only shown of it: where somebody else has it at
   * the moment is theirs to write, also where it comes back with what the app has changed.
   */
  unlent(node: N): N {
    const document = own(this.#members, node.id);
    const moving = this.#lentAt(node.id, node.position);
    if (document === undefined || moving === undefined) {
      return node;
    }
    const sizes = (["width", "height"] as const).filter((side) => node[side] === moving[side]);
    const kept = Object.fromEntries(sizes.flatMap((side) => (Object.hasOwn(document, side) ? [[side, document[side]]] : [])));
    return { ...without(node, ...sizes), position: document["position"], ...kept } as N;
  }

  /** Give the place that a step from where a node is shown leads to, from where it is in the document. */
  stepped(id: string, to: Point): Point {
    const shown = this.node(id)?.position;
    if (shown === undefined || !this.#lent.has(shown)) {
      return to;
    }
    const { x, y } = own(this.#members, id)?.["position"] as Point;
    return { x: to.x - shown.x + x, y: to.y - shown.y + y };
  }

  #lentAt(id: string, position: Point): Moving | undefined {
    const shown = this.node(id)?.position;
    const copied = shown !== undefined && same(shown, position) ? this.#lent.get(shown) : undefined;
    return this.#lent.get(position) ?? copied;
  }

  node(id: string): N | undefined {
    return this.#madeNodes.get(id)?.element;
  }

  edge(id: string): E | undefined {
    return this.#madeEdges.get(id)?.element;
  }
}

/**
 * List nodes in the order that is the same for everybody, that of their ids: what lies above is told by
 * their `zIndex`. One whose parent can't be is read as if it had none.
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

/** List nodes as React Flow wants them: each behind its parent, else in the order that they have. */
function listed<N extends Node>(made: ReadonlyMap<string, Made<N>>): N[] {
  const ids = parentsFirst(made.keys(), (id) => made.get(id)?.element.parentId);
  return ids.flatMap((id) => made.get(id)?.element ?? []);
}

/** Give the list as it was, where it is the same. */
function keep<T>(before: T[], now: T[]): T[] {
  const isSame = before.length === now.length && before.every((one, n) => one === now[n]);
  return isSame ? before : now;
}
