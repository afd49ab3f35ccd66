/** This browser's dropped changes, and what is needed to restore them. */

import type { Deletion, Dropped, FlowDocument, FlowEdge, FlowEntry, JsonObject } from "../types.js";
import { compose, isEmpty, isObject, mergeObjects, own } from "./mergepatch.js";
import type { Operation } from "./replica.js";

/** The most deletions that are remembered. */
const MEMORY = 10_000;

/** Remembers who deleted what, and reports the changes that were dropped because of it. */
export class Losses {
  list: readonly Dropped[] = [];
  /** By JSON Pointer, the oldest first. */
  readonly #deletions = new Map<string, Deletion>();
  readonly #told = new WeakSet<Operation>();

  /** Take note of an entry. */
  watch({ patch, by }: FlowEntry, before: FlowDocument): void {
    const edges = deletedOf(before.edges, patch["edges"]);
    for (const [id, value] of edges) {
      this.#remember({ kind: "edges", id, value, by, edges: [] });
    }
    const gone = byNode(edges.map(([, edge]) => edge));
    for (const [id, value] of deletedOf(before.nodes, patch["nodes"])) {
      this.#remember({ kind: "nodes", id, value, by, edges: gone.get(id) ?? [] });
    }
  }

  /** Take note of a new whole document, whose changes are unknown. */
  compare(before: FlowDocument, after: FlowDocument): void {
    for (const edge of Object.values(before.edges)) {
      if (!Object.hasOwn(after.edges, edge.id)) {
        this.#remember({ kind: "edges", id: edge.id, value: edge, by: null, edges: [] });
      }
    }
    const edges = byNode(Object.values(before.edges));
    for (const node of Object.values(before.nodes)) {
      if (!Object.hasOwn(after.nodes, node.id)) {
        this.#remember({ kind: "nodes", id: node.id, value: node, by: null, edges: edges.get(node.id) ?? [] });
      }
    }
  }

  /** Note an operation's dropped paths; `null` if there are none, or they were reported before. */
  note(op: Operation, paths: readonly string[], shown: FlowDocument | null): Dropped | null {
    if (paths.length === 0 || this.#told.has(op)) {
      return null;
    }
    this.#told.add(op);
    const before = this.list.find((one) => one.paths.join() === paths.join());
    const patch = before === undefined ? op.patch : both(before.patch, op.patch);
    const deletions = this.#deletionsOf(paths, op.patch, shown);
    const dropped: Dropped = { opId: op.opId, paths, patch, deletions };
    this.list = [...this.list.filter((one) => one !== before), dropped];
    return dropped;
  }

  /** Dismiss one dropped change, or all. */
  dismiss(told?: Dropped): void {
    this.list = this.list.filter((one) => told !== undefined && one.paths.join() !== told.paths.join());
  }

  #remember(deletion: Deletion): void {
    const path = pathOf(deletion.kind, deletion.id);
    this.#deletions.delete(path);
    this.#deletions.set(path, deletion);
    if (this.#deletions.size > MEMORY) {
      const [oldest = ""] = this.#deletions.keys();
      this.#deletions.delete(oldest);
    }
  }

  /** List the deleted nodes and edges that a patch's paths refer to, including the ends of its edges. */
  #deletionsOf(
    paths: readonly string[],
    patch: JsonObject,
    shown: FlowDocument | null,
  ): Deletion[] {
    const members = new Set<string>();
    for (const [kind, id] of paths.map(memberOf)) {
      const path = pathOf(kind, id);
      members.add(path);
      // An edge can't be restored without its ends.
      const gone = this.#deletions.get(path)?.value;
      const edge: JsonObject = kind === "edges" ? { ...gone, ...memberIn(patch, kind, id) } : {};
      for (const end of [edge["source"], edge["target"]]) {
        if (typeof end === "string" && !Object.hasOwn(shown?.nodes ?? {}, end)) {
          members.add(pathOf("nodes", end));
        }
      }
    }
    const found = [...members].map((path) => this.#deletions.get(path));
    return found.filter((deletion) => deletion !== undefined);
  }
}

/**
 * Make the patch that restores deleted nodes and edges with the dropped changes on top, and those of their
 * edges that have both ends then.
 */
export function restoring(all: readonly Dropped[], shown: FlowDocument): JsonObject {
  const back: Record<Deletion["kind"], JsonObject> = { nodes: {}, edges: {} };
  const deletions = all.flatMap((one) => one.deletions);
  for (const { kind, id, value } of deletions) {
    if (!Object.hasOwn(shown[kind], id)) {
      back[kind][id] = value;
    }
  }
  const isThere = (id: string): boolean =>
    Object.hasOwn(shown.nodes, id) || Object.hasOwn(back.nodes, id);
  for (const edge of deletions.flatMap(({ edges }) => edges)) {
    const isWhole = isThere(edge.source) && isThere(edge.target);
    if (isWhole && !Object.hasOwn(shown.edges, edge.id)) {
      back.edges[edge.id] = edge;
    }
  }
  for (const { paths, patch } of all) {
    for (const [kind, id] of paths.map(memberOf)) {
      const mine = memberIn(patch, kind, id);
      const members = back[kind === "nodes" ? "nodes" : "edges"];
      const value = own(members, id);
      if (mine !== undefined) {
        members[id] = isObject(value) ? mergeObjects(value, mine) : mine;
      }
    }
  }
  return Object.fromEntries(Object.entries(back).filter(([, members]) => !isEmpty(members)));
}

function deletedOf<T>(members: Record<string, T>, patch: unknown): [string, T][] {
  return Object.entries(isObject(patch) ? patch : {}).flatMap(([id, value]) => {
    const member = Object.hasOwn(members, id) ? members[id] : undefined;
    return value === null && member !== undefined ? [[id, member]] : [];
  });
}

/** List the edges of each node. */
function byNode(edges: readonly FlowEdge[]): ReadonlyMap<string, readonly FlowEdge[]> {
  const found = new Map<string, FlowEdge[]>();
  for (const edge of edges) {
    for (const id of new Set([edge.source, edge.target])) {
      const known = found.get(id);
      if (known === undefined) {
        found.set(id, [edge]);
      } else {
        known.push(edge);
      }
    }
  }
  return found;
}

function both(first: JsonObject, then: JsonObject): JsonObject {
  return compose(first, then) ?? mergeObjects(first, then);
}

function pathOf(kind: string, id: string): string {
  return `/${kind}/${id.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/** Read which node or edge a JSON Pointer refers to: its first two names. */
function memberOf(path: string): [kind: string, id: string] {
  const [, kind = "", id = ""] = path.split("/");
  return [kind, id.replaceAll("~1", "/").replaceAll("~0", "~")];
}

function memberIn(patch: JsonObject, kind: string, id: string): JsonObject | undefined {
  const members = own(patch, kind);
  const member = isObject(members) ? own(members, id) : undefined;
  return isObject(member) ? member : undefined;
}
