/** Undo: the patch that reverts changes, as far as nobody else has changed them since. */

import type { FlowDocument, JsonObject } from "../types.js";
import type { Change } from "./change.js";
import { stage } from "./document.js";
import { Draft } from "./draft.js";
import { excerpt } from "./excerpt.js";
import { fresh, isEmpty, isObject, mergeObjects, own, same } from "./mergepatch.js";

/** Make the patch that reverts changes of a document, as far as nobody has changed them since. */
export function undoing(shown: FlowDocument, changes: readonly Change[]): JsonObject {
  const draft = new Draft(excerpt(shown, changes));
  for (const { effective, inverse } of changes.toReversed()) {
    const patch = stillOurs(draft.document, effective, inverse);
    if (!isEmpty(patch)) {
      draft.apply(stage(draft.document, sparing(draft.document, patch)));
    }
  }
  return framed(draft.document, draft.difference());
}

/** Remove from a change what a later entry of somebody else has changed. */
export function overtake(change: Change, patch: JsonObject, version: number): void {
  if (change.durableAt !== null && change.durableAt < version) {
    change.inverse = untouched(change.inverse, patch);
  }
}

/** Add to each position the parent that it is relative to: somebody may change the parent meanwhile. */
function framed(document: FlowDocument, patch: JsonObject): JsonObject {
  return ofNodes(patch, (id, change) => {
    const node = own(document.nodes, id);
    return Object.hasOwn(change, "position") && !Object.hasOwn(change, "id")
      ? { parentId: node?.["parentId"] ?? null, ...change }
      : change;
  });
}

/** Replace the changes of nodes in a patch. */
function ofNodes(
  patch: JsonObject,
  of: (id: string, change: JsonObject) => JsonObject,
): JsonObject {
  const { nodes } = patch;
  if (!isObject(nodes)) {
    return patch;
  }
  const changes = Object.entries(nodes).map(([id, change]) => [
    id,
    isObject(change) ? of(id, change) : change,
  ]);
  return { ...patch, nodes: Object.fromEntries(changes) as JsonObject };
}

/** Reduce a change's inverse to the parts where the document is still as the change left it. */
function stillOurs(document: JsonObject, effective: JsonObject, inverse: JsonObject): JsonObject {
  const result: JsonObject = {};
  for (const [name, before] of Object.entries(inverse)) {
    const after = own(effective, name);
    const current = own(document, name);
    if (isObject(after) && isObject(before)) {
      const part = isObject(current) ? stillOurs(current, after, before) : {};
      if (!isEmpty(part)) {
        result[name] = part;
      }
    } else if (same(current, after === null ? undefined : fresh(after))) {
      result[name] = before;
    }
  }
  return result;
}

/**
 * Reduce an inverse to what a later patch doesn't touch. A node's position and its parent belong together:
 * a change of either moves the node. So do all fields of what the inverse brings back: somebody else
 * has it back, and a part of it is no node.
 */
export function untouched(inverse: JsonObject, patch: JsonObject): JsonObject {
  const { nodes } = patch;
  return ofNodes(rest(withoutRegained(inverse, patch), patch), (id, change) => {
    const touch = isObject(nodes) ? own(nodes, id) : undefined;
    const isMoved = isObject(touch) && PLACE.some((name) => Object.hasOwn(touch, name));
    return isMoved
      ? Object.fromEntries(Object.entries(change).filter(([name]) => !PLACE.includes(name)))
      : change;
  });
}

const PLACE = ["position", "parentId"];

/** Leave out the nodes and edges that an inverse brings back, and a patch has. */
function withoutRegained(inverse: JsonObject, patch: JsonObject): JsonObject {
  const { nodes, edges } = inverse;
  return {
    ...inverse,
    ...(isObject(nodes) && { nodes: stillGone(nodes, patch["nodes"]) }),
    ...(isObject(edges) && { edges: stillGone(edges, patch["edges"]) }),
  };
}

function stillGone(members: JsonObject, touched: unknown): JsonObject {
  const kept = Object.entries(members).filter(([id, change]) => {
    const isRegained = isObject(touched) && Object.hasOwn(touched, id);
    return !(isRegained && isObject(change) && Object.hasOwn(change, "id"));
  });
  return Object.fromEntries(kept);
}

function rest(inverse: JsonObject, patch: JsonObject): JsonObject {
  const result: JsonObject = {};
  for (const [name, before] of Object.entries(inverse)) {
    const touch = own(patch, name);
    if (touch === undefined) {
      result[name] = before;
    } else if (isObject(before) && isObject(touch)) {
      const part = rest(before, touch);
      if (!isEmpty(part)) {
        result[name] = part;
      }
    }
  }
  return result;
}

/** Keep nodes that others have connected since: deleting a node would delete their edges. */
function sparing(document: FlowDocument, patch: JsonObject): JsonObject {
  const { nodes, edges } = patch;
  if (!isObject(nodes) || !Object.values(nodes).includes(null)) {
    return patch;
  }
  const edgesAfter = mergeObjects(document.edges, isObject(edges) ? edges : {});
  const spared = new Set(Object.values(edgesAfter).flatMap(({ source, target }) => [source, target]));
  const kept = Object.entries(nodes).filter(([id, value]) => value !== null || !spared.has(id));
  return { ...patch, nodes: Object.fromEntries(kept) };
}
