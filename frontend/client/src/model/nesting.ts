/**
 * Nesting: which node lies in which (React Flow's `parentId`), kept valid.
 *
 * The rules are the server's (`helix/documents/nesting.py`, `helix/documents/regrouping.py`, docs/spec.md GRP), with one
 * exception: the client doesn't remember where deleted nodes were.
 */

import type { FlowNode, JsonObject } from "../types.js";
import { isEmpty, isObject, LARGEST_NUMBER, own, same } from "./mergepatch.js";

type Nodes = Record<string, FlowNode>;

/** The part of a node, the document's or React Flow's, that says which node it lies in. */
interface Nested {
  id: string;
  parentId?: unknown;
}

/** The place of a node's upper left corner on the canvas. */
type Place = readonly [number, number];

const ORIGIN: Place = [0, 0];
const AXES = ["x", "y"] as const;

/**
 * List the nodes with an impossible parent: it is missing, or it is the node itself, or it lies in the node.
 * They are read as if they had none.
 */
export function strays(nodes: Readonly<Record<string, Nested>>): ReadonlySet<string> {
  const found = new Set<string>();
  const known = new Set<string>();
  for (const [id, node] of Object.entries(nodes)) {
    if (node.parentId === undefined) {
      continue;
    }
    const path = new Set<string>();
    let at = id;
    while (!known.has(at)) {
      if (path.has(at)) {
        ringOf(path, at).forEach((one) => found.add(one));
        break;
      }
      path.add(at);
      const above = own(nodes, at)?.parentId;
      if (above === undefined) {
        break;
      }
      if (!isAmong(nodes, above)) {
        found.add(at);
        break;
      }
      at = above;
    }
    path.forEach((one) => known.add(one));
  }
  return found;
}

/** List ids, each after its parent's if that is among them; otherwise in their order. */
export function parentsFirst(ids: Iterable<string>, parentOf: (id: string) => unknown): string[] {
  const left = new Set(ids);
  const listed: string[] = [];
  for (const id of [...left]) {
    const path: string[] = [];
    let at: unknown = id;
    while (typeof at === "string" && left.delete(at)) {
      path.push(at);
      at = parentOf(at);
    }
    for (const one of path.reverse()) {
      listed.push(one);
    }
  }
  return listed;
}

/**
 * Tell whether a patch of the nodes may change the nesting, or has to: it names parents, deletes nodes, or
 * concerns a node with an impossible parent.
 */
export function isConcerned(nodes: Nodes, patch: JsonObject): boolean {
  let named: Set<unknown> | null = null;
  const sound = new Set<string>();
  return Object.entries(patch).some(([id, change]) => {
    if (change === null || (isObject(change) && Object.hasOwn(change, "parentId"))) {
      return true;
    }
    if (Object.hasOwn(nodes, id)) {
      return isStray(nodes, id, sound);
    }
    named ??= new Set(Object.values(nodes).map(({ parentId }) => parentId));
    return named.has(id);
  });
}

/**
 * Tell whether a node lies, directly or not, in a missing node or in itself.
 *
 * @param sound nodes known to be valid; further ones are added.
 */
function isStray(nodes: Nodes, id: string, sound: Set<string>): boolean {
  const path = new Set<string>();
  let at: unknown = id;
  while (at !== undefined && !sound.has(at as string)) {
    if (!isAmong(nodes, at) || path.has(at)) {
      return true;
    }
    path.add(at);
    at = own(nodes, at)?.["parentId"];
  }
  path.forEach((one) => sound.add(one));
  return false;
}

/**
 * Apply a patch's parents, and free the children of deleted nodes.
 *
 * @param patch the nodes of the patch, as given.
 * @param staged their effective part. It is changed, but not its values.
 */
export function nest(nodes: Nodes, patch: JsonObject, staged: JsonObject): void {
  new Nester(nodes, patch, staged).run();
}

/** Cut a path that has come back to `first` down to the cycle. */
function ringOf(path: Iterable<string>, first: string): string[] {
  const ids = [...path];
  return ids.slice(ids.indexOf(first));
}

function isAmong(nodes: object, id: unknown): id is string {
  return typeof id === "string" && Object.hasOwn(nodes, id);
}

/** Move a coordinate, within a document's limits. */
function shift(value: number, ...by: number[]): number {
  return by.reduce(
    (moved, step) => Math.max(-LARGEST_NUMBER, Math.min(LARGEST_NUMBER, moved + step)),
    value,
  );
}

class Nester {
  readonly #nodes: Nodes;
  readonly #patch: JsonObject;
  readonly #staged: JsonObject;
  readonly #strays: ReadonlySet<string>;
  readonly #children = new Map<string, string[]>();
  /** The possible parents that the patch gives. */
  readonly #claims = new Map<string, string>();
  /** The impossible ones. */
  readonly #refused = new Map<string, string>();
  readonly #places = new Map<string, Place>();

  constructor(nodes: Nodes, patch: JsonObject, staged: JsonObject) {
    this.#nodes = nodes;
    this.#patch = patch;
    this.#staged = staged;
    this.#strays = strays(nodes);
    for (const [id, { parentId }] of Object.entries(nodes)) {
      if (typeof parentId === "string") {
        const siblings = this.#children.get(parentId);
        if (siblings === undefined) {
          this.#children.set(parentId, [id]);
        } else {
          siblings.push(id);
        }
      }
    }
  }

  run(): void {
    for (const id of Object.keys(this.#patch)) {
      const parent = this.#said(id)["parentId"];
      if (parent !== undefined && parent !== null && this.#stays(id)) {
        if (typeof parent !== "string") {
          throw new TypeError(`nodes/${id}/parentId must be a string`);
        }
        this.#claim(id, parent);
      }
    }
    this.#breakRings();
    const concerned = new Set(Object.keys(this.#patch));
    for (const id of [...concerned]) {
      if (this.#goes(id)) {
        this.#children.get(id)?.forEach((child) => concerned.add(child));
      }
    }
    for (const id of concerned) {
      if (this.#stays(id)) {
        this.#settle(id);
      }
    }
    this.#mend();
  }

  /** Give the patch's value for a node that isn't deleted. */
  #said(id: string): JsonObject {
    const change = own(this.#patch, id);
    return isObject(change) ? change : {};
  }

  #goes(id: string): boolean {
    return own(this.#staged, id) === null;
  }

  #stays(id: string): boolean {
    return Object.hasOwn(this.#staged, id) ? !this.#goes(id) : Object.hasOwn(this.#nodes, id);
  }

  #parentBefore(id: string): string | null {
    const node = own(this.#nodes, id);
    const parent = node?.["parentId"] as string | undefined;
    return parent === undefined || this.#strays.has(id) ? null : parent;
  }

  #claim(id: string, parent: string): void {
    if (!this.#stays(parent) || parent === id) {
      this.#refused.set(id, parent);
    } else if (parent !== this.#parentBefore(id)) {
      this.#claims.set(id, parent);
    }
  }

  /** Tell a node's parent after the patch, by the remaining claims. */
  #parentAfter(id: string): string | null {
    const claim = this.#claims.get(id);
    if (claim !== undefined) {
      return claim;
    }
    if (this.#said(id)["parentId"] === null) {
      return null;
    }
    const parent = this.#parentBefore(id);
    return parent !== null && this.#stays(parent) ? parent : null;
  }

  /** Refuse the claims that would make nodes lie in themselves; all claims if that isn't enough. */
  #breakRings(): void {
    const ring = this.#ring();
    if (ring.length > 0) {
      this.#refuse(ring);
      if (this.#ring().length > 0) {
        this.#refuse([...this.#claims.keys()]);
      }
    }
  }

  #refuse(ids: string[]): void {
    for (const id of ids) {
      this.#refused.set(id, this.#claims.get(id) ?? "");
      this.#claims.delete(id);
    }
  }

  /** List the nodes whose claims would make them lie in themselves. */
  #ring(): string[] {
    const ring: string[] = [];
    const known = new Set<string>();
    for (const id of this.#claims.keys()) {
      const path = new Set<string>();
      let at: string | null = id;
      while (at !== null && !known.has(at)) {
        if (path.has(at)) {
          ringOf(path, at).filter((one) => this.#claims.has(one)).forEach((one) => ring.push(one));
          break;
        }
        path.add(at);
        at = this.#parentAfter(at);
      }
      path.forEach((one) => known.add(one));
    }
    return ring;
  }

  /** Set a node's new parent and position. */
  #settle(id: string): void {
    const said = this.#said(id);
    const claim = this.#refused.get(id);
    const before = this.#parentBefore(id);
    const after = this.#parentAfter(id);
    if (claim === undefined && (Object.hasOwn(said, "parentId") || after === before)) {
      return;
    }
    let frame: Place | null = this.#place(before);
    if (claim !== undefined) {
      frame = claim !== id && Object.hasOwn(this.#nodes, claim) ? this.#place(claim) : null;
    }
    const node = own(this.#nodes, id);
    if (node === undefined) {
      this.#putDown(id, frame ?? ORIGIN);
      return;
    }
    // If it is unknown what the given position is relative to, the node stays where it was.
    const given = frame === null ? {} : ((said["position"] ?? {}) as JsonObject);
    const position = this.#seen(node, given, frame ?? ORIGIN, before, after);
    const rest = without(this.#change(id), "position", "parentId");
    const change: JsonObject = isEmpty(position) ? rest : { ...rest, position };
    this.#put(id, after === null ? unbound(node, change, before !== null) : change);
  }

  /** Place a new node where it was seen, without a parent. */
  #putDown(id: string, frame: Place): void {
    const created = this.#change(id);
    const { x, y } = created["position"] as { x: number; y: number };
    const names = created["extent"] === "parent" ? ["parentId", "extent"] : ["parentId"];
    const position = { x: shift(x, frame[0]), y: shift(y, frame[1]) };
    this.#staged[id] = { ...without(created, ...names), position };
  }

  /** Give the change of a node's position that keeps it where it is seen. */
  #seen(
    node: FlowNode,
    given: JsonObject,
    frame: Place,
    before: string | null,
    after: string | null,
  ): JsonObject {
    const kept = this.#place(before);
    const base = this.#place(after);
    const moved: JsonObject = {};
    AXES.forEach((axis, n) => {
      const old = node.position[axis];
      const isGiven = Object.hasOwn(given, axis);
      const value = isGiven ? (given[axis] as number) : old;
      const by = (isGiven ? frame : kept)[n] ?? 0;
      const less = base[n] ?? 0;
      const now = by === less ? value : shift(value, by, -less);
      if (!same(now, old)) {
        moved[axis] = now;
      }
    });
    return moved;
  }

  #change(id: string): JsonObject {
    return (own(this.#staged, id) ?? {}) as JsonObject;
  }

  #put(id: string, change: JsonObject): void {
    if (!isEmpty(change)) {
      this.#staged[id] = change;
    } else if (Object.hasOwn(this.#staged, id)) {
      // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- it was made for this
      delete this.#staged[id];
    }
  }

  #place(id: string | null): Place {
    const path = new Set<string>();
    let at = id;
    while (at !== null && !this.#places.has(at)) {
      path.add(at);
      at = this.#parentBefore(at);
    }
    let place = at === null ? ORIGIN : (this.#places.get(at) ?? ORIGIN);
    for (const one of [...path].reverse()) {
      const { x, y } = (own(this.#nodes, one) as FlowNode).position;
      place = [shift(x, place[0]), shift(y, place[1])];
      this.#places.set(one, place);
    }
    return place;
  }

  /** Remove impossible parents from changed nodes, and from nodes that they concern. */
  #mend(): void {
    const concerned = new Set<string>();
    for (const id of Object.keys(this.#staged)) {
      if (!Object.hasOwn(this.#nodes, id)) {
        this.#children.get(id)?.forEach((child) => concerned.add(child));
      }
      let at: unknown = id;
      while (typeof at === "string" && this.#strays.has(at) && !concerned.has(at)) {
        concerned.add(at);
        at = own(this.#nodes, at)?.["parentId"];
      }
    }
    for (const id of concerned) {
      const isSaid = Object.hasOwn(this.#said(id), "parentId") && !this.#refused.has(id);
      const node = own(this.#nodes, id) as FlowNode;
      if (this.#stays(id) && this.#strays.has(id) && !isSaid) {
        this.#staged[id] = unbound(node, this.#change(id), true);
      }
    }
  }
}

/** Remove a node's parent, and what binds it to the parent. */
function unbound(node: FlowNode, change: JsonObject, hasParent: boolean): JsonObject {
  const result: JsonObject = hasParent ? { ...change, parentId: null } : change;
  if ((change["extent"] === undefined ? node["extent"] : change["extent"]) !== "parent") {
    return result;
  }
  const free = without(result, "extent");
  return node["extent"] === undefined ? free : { ...free, extent: null };
}

export function without(object: JsonObject, ...names: string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)));
}
