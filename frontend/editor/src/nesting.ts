/** Nested nodes: parents, places on the canvas, and levels. Pure functions. */

import { compareIds, type FlowDocument, type FlowEdge, type Point, strays } from "helix-flows";

/** The part of a node, React Flow's or the document's, that says where it lies. */
export interface Nested {
  id: string;
  parentId?: unknown;
  position: Point;
  zIndex?: unknown;
}

/** A node's place on the canvas. */
export interface Place extends Point {
  /** Its parent; `undefined` if it has none. */
  parent: string | undefined;
  /** A higher level lies above, as in React Flow. A node is above its parent. */
  level: number;
}

/** Levels are between this and its negative: below what the editor draws above nodes. */
export const MAX_LEVEL = 900;

/** Read a level from a node's or an edge's `zIndex`, which may be anything. */
export function levelOf(zIndex: unknown): number {
  return typeof zIndex === "number" && Number.isFinite(zIndex) ? Math.max(-MAX_LEVEL, Math.min(MAX_LEVEL, Math.round(zIndex))) : 0;
}

/** Give the nodes' parents, by id. */
function parentsOf(nodes: readonly Nested[]): Map<string, string> {
  const lost = strays(Object.fromEntries(nodes.map((node) => [node.id, node])));
  return new Map(nodes.flatMap(({ id, parentId }) => (typeof parentId === "string" && !lost.has(id) ? [[id, parentId]] : [])));
}

/** Give the nodes' places, by id: parents before children, otherwise in the given order. */
export function nestingOf(nodes: readonly Nested[]): Map<string, Place> {
  const parents = nodes.some(({ parentId }) => parentId !== undefined) ? parentsOf(nodes) : new Map<string, string>();
  const inside = new Map<string | undefined, [number, Nested][]>();
  for (const [n, node] of nodes.entries()) {
    const parent = parents.get(node.id);
    const siblings = inside.get(parent);
    if (siblings === undefined) {
      inside.set(parent, [[n, node]]);
    } else {
      siblings.push([n, node]);
    }
  }
  const places = new Map<string, Place>();
  for (let now = inside.get(undefined) ?? []; now.length > 0;) {
    for (const [, { id, position, zIndex }] of now) {
      const parent = parents.get(id);
      const around = parent === undefined ? undefined : places.get(parent);
      const level = Math.max(levelOf(zIndex), around === undefined ? -MAX_LEVEL : around.level + 1);
      places.set(id, { x: (around?.x ?? 0) + position.x, y: (around?.y ?? 0) + position.y, parent, level });
    }
    now = now.flatMap(([, { id }]) => inside.get(id) ?? []).toSorted(([a], [b]) => a - b);
  }
  return places;
}

/** List nodes or edges in the order in which everybody draws them: by id. */
export function inOrder<T extends { id: string }>(members: Readonly<Record<string, T>>): T[] {
  return Object.values(members).toSorted((a, b) => compareIds(a.id, b.id));
}

const known = new WeakMap<FlowDocument["nodes"], ReadonlyMap<string, Place>>();

/** Give the places of a document's nodes. The document never changes in place. */
export function placesIn({ nodes }: Pick<FlowDocument, "nodes">): ReadonlyMap<string, Place> {
  const places = known.get(nodes) ?? nestingOf(inOrder(nodes));
  known.set(nodes, places);
  return places;
}

/** Give the level that an edge needs because of its nodes: it must not be behind their parents. */
export function liftOf({ source, target }: Pick<FlowEdge, "source" | "target">, places: ReadonlyMap<string, Pick<Place, "parent" | "level">>): number {
  const liftBy = (place: Pick<Place, "parent" | "level"> | undefined): number => (place?.parent === undefined ? 0 : place.level);
  return Math.max(0, liftBy(places.get(source)), liftBy(places.get(target)));
}

/** Give nodes with everything inside them. */
export function withInside(ids: Iterable<string>, places: ReadonlyMap<string, Place>): Set<string> {
  const all = new Set(ids);
  // Children are listed after their parents.
  for (const [id, { parent }] of places) {
    if (parent !== undefined && all.has(parent)) {
      all.add(id);
    }
  }
  return all;
}

/** Leave out nodes that lie inside other given nodes, and move with those. */
export function outermost(ids: Iterable<string>, places: ReadonlyMap<string, Place>): string[] {
  const all = new Set(ids);
  const inside = withInside(all, places);
  const isCarried = (parent: string | undefined): boolean => parent !== undefined && inside.has(parent);
  return [...all].filter((id) => !isCarried(places.get(id)?.parent));
}

/** The type of nodes that are made as groups. */
export const GROUP = "group";

const knownGroups = new WeakMap<FlowDocument["nodes"], ReadonlySet<string>>();

/** Give a document's groups: nodes with children, or of the type for groups. The document never changes in place. */
export function groupsIn({ nodes }: Pick<FlowDocument, "nodes">): ReadonlySet<string> {
  const before = knownGroups.get(nodes);
  if (before !== undefined) {
    return before;
  }
  const around = [...placesIn({ nodes }).values()].flatMap(({ parent }) => parent ?? []);
  const made = Object.values(nodes).filter(({ type }) => type === GROUP);
  const groups = new Set([...around, ...made.map(({ id }) => id)]);
  knownGroups.set(nodes, groups);
  return groups;
}

/** List a node's ancestors, the innermost first. */
export function ancestorsOf(id: string, places: ReadonlyMap<string, Place>): string[] {
  const found: string[] = [];
  for (let at = places.get(id)?.parent; at !== undefined; at = places.get(at)?.parent) {
    found.push(at);
  }
  return found;
}

/** List the children by parent; `undefined` stands for the canvas. */
export function membersOf(places: ReadonlyMap<string, Pick<Place, "parent">>): Map<string | undefined, string[]> {
  const members = new Map<string | undefined, string[]>();
  for (const [id, { parent }] of places) {
    const siblings = members.get(parent);
    if (siblings === undefined) {
      members.set(parent, [id]);
    } else {
      siblings.push(id);
    }
  }
  return members;
}

/** Find the innermost node that contains all given ones; `undefined` if there is none. */
export function innermostAround(ids: readonly string[], places: ReadonlyMap<string, Place>): string | undefined {
  const [first, ...others] = ids;
  const above = first === undefined ? [] : ancestorsOf(first, places);
  const depths = new Map(above.map((id, n) => [id, n]));
  const passed = new Set<string>();
  let depth = 0;
  for (const id of others) {
    let at = places.get(id)?.parent;
    while (at !== undefined && !depths.has(at) && !passed.has(at)) {
      passed.add(at);
      at = places.get(at)?.parent;
    }
    if (at === undefined) {
      return undefined;
    }
    // An earlier node that passed here has noted how far up it leads.
    depth = Math.max(depth, depths.get(at) ?? 0);
  }
  return above[depth];
}
