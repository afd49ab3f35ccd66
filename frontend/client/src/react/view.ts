/** What React Flow shows: the document, with one's own state and others' drags on top. */

import type { Edge, Node } from "@xyflow/react";

import { compareIds } from "../model/document.js";
import { own, same } from "../model/mergepatch.js";
import { parentsFirst, strays } from "../model/nesting.js";
import type { FlowDocument, FlowEdge, FlowNode, JsonObject, Moving, Point } from "../types.js";
import { Elements } from "./elements.js";
import { type PersonalEdge, type PersonalNode, without } from "./personal.js";

/** What is done to the document's nodes and edges before React Flow gets them. */
export interface Sanitizing {
  node: (node: FlowNode) => JsonObject;
  edge: (edge: FlowEdge) => JsonObject;
}

/** Shown before the document is loaded. */
const NOTHING: Pick<FlowDocument, "nodes" | "edges"> = { nodes: {}, edges: {} };

/**
 * Makes React Flow's nodes and edges from a document.
 *
 * An unchanged element, and an unchanged list, stay the very same objects, so React doesn't render them
 * again.
 */
export class FlowView<N extends Node, E extends Edge> {
  /** The document's nodes as they are drawn. */
  #members: FlowDocument["nodes"] = {};
  #ordered: [id: string, node: FlowNode][] = [];
  #edgeMembers: FlowDocument["edges"] = {};
  #orderedEdges: [id: string, edge: FlowEdge][] = [];
  /** Places that are only shown, because somebody else is dragging a node there. */
  readonly #previewed = new WeakMap<Point, Moving>();
  /** The parents that nodes had when somebody else began to drag them. */
  readonly #parents = new WeakMap<Moving, unknown>();
  readonly #nodes: Elements<FlowNode, N>;
  readonly #edges: Elements<FlowEdge, E>;

  constructor({ node, edge }: Sanitizing) {
    this.#nodes = new Elements<FlowNode, N>({ sanitize: node, shownAs: (moving) => this.#shownAs(moving), ordered: behindParents });
    this.#edges = new Elements<FlowEdge, E>({ sanitize: edge, shownAs: () => ({}), ordered: (ids) => ids });
  }

  get nodes(): N[] {
    return this.#nodes.list;
  }

  get edges(): E[] {
    return this.#edges.list;
  }

  /** Show this from now on. */
  show(
    document: FlowDocument | null,
    personalNodes: ReadonlyMap<string, PersonalNode>,
    personalEdges: ReadonlyMap<string, PersonalEdge>,
    moving: ReadonlyMap<string, Moving>,
  ): void {
    const { nodes, edges } = document ?? NOTHING;
    if (nodes !== this.#members) {
      this.#members = nodes;
      this.#ordered = inOrder(nodes);
    }
    if (edges !== this.#edgeMembers) {
      this.#edgeMembers = edges;
      this.#orderedEdges = Object.entries(edges);
    }
    this.#nodes.take(this.#ordered, personalNodes, this.#inPlace(moving));
    this.#edges.take(this.#orderedEdges, personalEdges);
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
    return this.#nodes.get(id);
  }

  edge(id: string): E | undefined {
    return this.#edges.get(id);
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

/** Order nodes as React Flow needs them: each after its parent, otherwise as given. */
function behindParents(ids: string[], node: (id: string) => Node | undefined): string[] {
  return parentsFirst(ids, (id) => node(id)?.parentId);
}
