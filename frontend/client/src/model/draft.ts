/** A document that takes many patches, one after the other. */

import type { FlowDocument, JsonObject } from "../types.js";
import { inOrder, membersOf } from "./document.js";
import { diff, isEmpty, isObject, merge, own } from "./mergepatch.js";

const KINDS = ["nodes", "edges"] as const;
type Kind = (typeof KINDS)[number];

/**
 * Applies effective patches in time that depends on the patches alone: nodes and edges are copied once.
 *
 * The first document doesn't change.
 */
export class Draft {
  readonly #from: FlowDocument;
  #document: FlowDocument;
  readonly #touched: Record<Kind, Set<string>> = { nodes: new Set(), edges: new Set() };

  constructor(from: FlowDocument) {
    this.#from = from;
    this.#document = { ...from };
  }

  /** The current document, but for the order of its nodes and edges. It changes with the draft. */
  get document(): FlowDocument {
    return this.#document;
  }

  apply(effective: JsonObject): void {
    for (const [name, change] of Object.entries(effective)) {
      if (name === "nodes" || name === "edges") {
        this.#applyMembers(name, change);
      } else {
        put(this.#document, name, change);
      }
    }
  }

  /** Give the finished document. The draft must not be changed afterwards. */
  done(): FlowDocument {
    for (const kind of KINDS) {
      const before: JsonObject = this.#from[kind];
      if ([...this.#touched[kind]].some((id) => !Object.hasOwn(before, id))) {
        this.#document = { ...this.#document, [kind]: inOrder<unknown>(this.#document[kind]) };
      }
    }
    return this.#document;
  }

  /** Make the patch from the first document to the current one. */
  difference(): JsonObject {
    const { nodes, edges, ...rest } = this.#document;
    const { nodes: nodesBefore, edges: edgesBefore, ...restBefore } = this.#from;
    const ofNodes = diff(pick(nodesBefore, this.#touched.nodes), pick(nodes, this.#touched.nodes));
    const ofEdges = diff(pick(edgesBefore, this.#touched.edges), pick(edges, this.#touched.edges));
    return {
      ...diff(restBefore, rest),
      ...(isEmpty(ofNodes) ? {} : { nodes: ofNodes }),
      ...(isEmpty(ofEdges) ? {} : { edges: ofEdges }),
    };
  }

  #applyMembers(kind: Kind, change: unknown): void {
    if (!isObject(change)) {
      return;
    }
    if (this.#document[kind] === this.#from[kind]) {
      Object.assign(this.#document, { [kind]: { ...this.#from[kind] } });
    }
    const members: JsonObject = this.#document[kind];
    for (const [id, member] of membersOf(change)) {
      this.#touched[kind].add(id);
      put(members, id, member);
    }
  }
}

function put(object: JsonObject, name: string, change: unknown): void {
  if (change === null) {
    // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- it is a copy of ours
    delete object[name];
  } else {
    object[name] = merge(own(object, name), change);
  }
}

function pick(members: JsonObject, ids: ReadonlySet<string>): JsonObject {
  const picked = [...ids].filter((id) => Object.hasOwn(members, id)).map((id) => [id, own(members, id)]);
  return Object.fromEntries(picked) as JsonObject;
}
