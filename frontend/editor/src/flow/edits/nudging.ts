/** Moves by the arrow keys, as patches. They never change a node's group. Pure functions. */

import { type FlowDocument, type FlowNode, type JsonObject, own, type Point } from "helix-flows";

import { sizeOf } from "../../drawing";
import { membersOf, outermost, placesIn } from "../../nesting";

/** A node's new place, and its size if that changes, while a patch is made. */
interface Draft extends Point {
  width?: number;
  height?: number;
}

const AXES = [["x", "width"], ["y", "height"]] as const;

/** Makes the patch of one move. */
class Nudge {
  readonly #document: FlowDocument;
  readonly #drafts = new Map<string, Draft>();
  /** The children by parent, once needed. */
  #members: ReturnType<typeof membersOf> | null = null;

  constructor(document: FlowDocument) {
    this.#document = document;
  }

  /** Move a node. A bound node moves only as far as its group allows, or the group grows. */
  move(id: string, by: Point): void {
    const parent = placesIn(this.#document).get(id)?.parent;
    const node = own(this.#document.nodes, id) as FlowNode;
    const draft = this.#draft(id);
    draft.x += by.x;
    draft.y += by.y;
    if (parent !== undefined && node["expandParent"] === true) {
      this.#grow(parent, id);
    } else if (parent !== undefined && node["extent"] === "parent") {
      const [room, size] = [this.#size(parent), sizeOf(node)];
      for (const [axis, side] of AXES) {
        draft[axis] = Math.max(0, Math.min(draft[axis], room[side] - size[side]));
      }
    }
  }

  /** Enlarge a group as needed, and its parents. Their other contents stay where they are seen. */
  #grow(group: string, child: string): void {
    const places = placesIn(this.#document);
    let within = child;
    for (let around: string | undefined = group; around !== undefined;) {
      this.#include(around, within);
      within = around;
      around = own(this.#document.nodes, within)?.["expandParent"] === true ? places.get(within)?.parent : undefined;
    }
  }

  #include(group: string, child: string): void {
    const size = this.#size(child);
    for (const [axis, side] of AXES) {
      const draft = this.#draft(child);
      const before = Math.max(0, -draft[axis]);
      const room = this.#size(group)[side];
      const needed = Math.max(room, draft[axis] + size[side]) + before;
      if (before > 0) {
        this.#draft(group)[axis] -= before;
        this.#inside(group).forEach((id) => { this.#draft(id)[axis] += before; });
      }
      if (needed > room) {
        this.#draft(group)[side] = needed;
      }
    }
  }

  /** List a group's children. */
  #inside(group: string): readonly string[] {
    this.#members ??= membersOf(placesIn(this.#document));
    return this.#members.get(group) ?? [];
  }

  #size(id: string): { width: number; height: number } {
    return { ...sizeOf(own(this.#document.nodes, id) as FlowNode), ...this.#drafts.get(id) };
  }

  #draft(id: string): Draft {
    const draft = this.#drafts.get(id) ?? { ...(own(this.#document.nodes, id) as FlowNode).position };
    this.#drafts.set(id, draft);
    return draft;
  }

  get patch(): JsonObject {
    const places = placesIn(this.#document);
    const nodes = [...this.#drafts].map(([id, { x, y, ...size }]) => [id, { position: { x, y }, parentId: places.get(id)?.parent ?? null, ...size }]);
    return { nodes: Object.fromEntries(nodes) as JsonObject };
  }
}

/**
 * Give a patch that moves nodes, except locked ones, and the ids of the nodes that it moves directly: contents of a
 * moved group move with it.
 */
export function nudged(document: FlowDocument, ids: readonly string[], by: Point): { patch: JsonObject; ids: string[] } {
  const movable = ids.filter((id) => Object.hasOwn(document.nodes, id) && document.nodes[id]?.["draggable"] !== false);
  const outer = outermost(movable, placesIn(document));
  const nudge = new Nudge(document);
  for (const id of outer) {
    nudge.move(id, by);
  }
  return { patch: nudge.patch, ids: outer };
}
