/** What belongs to one person, and is never synced: selection, dragging, measured sizes. */

import type { Edge, Node } from "@xyflow/react";

import { isObject } from "../mergepatch";
import type { JsonObject, Point } from "../types";

/** One person's own of a node, and where it is while they drag or resize it. */
export interface PersonalNode {
  readonly selected?: boolean;
  readonly dragging?: boolean;
  readonly resizing?: boolean;
  readonly measured?: { width?: number; height?: number };
  /** Not in the document yet. */
  readonly position?: Point;
  readonly width?: number;
  readonly height?: number;
}

/** One person's own of an edge. */
export interface PersonalEdge {
  readonly selected?: boolean;
}

const PERSONAL = new Set(["selected", "dragging", "resizing", "measured"]);

/** Give what of a node or an edge of React Flow is the document's. */
export function shared(element: Node | Edge): JsonObject {
  const members = Object.entries(element).filter(
    ([name, value]) => !PERSONAL.has(name) && value !== undefined,
  );
  return finite(Object.fromEntries(members)) as JsonObject;
}

/**
 * Leave out the members that are numbers but not finite, which React Flow gives where it couldn't
 * measure; the value itself where there is none.
 */
export function finite(value: unknown): unknown {
  if (!isObject(value)) {
    return value;
  }
  let result: JsonObject = value;
  for (const [name, member] of Object.entries(value)) {
    const isWrong = typeof member === "number" && !Number.isFinite(member);
    const clean = finite(member);
    if (isWrong || clean !== member) {
      result = result === value ? { ...value } : result;
      if (isWrong) {
        // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- it is a copy of ours
        delete result[name];
      } else {
        result[name] = clean;
      }
    }
  }
  return result;
}

/** As `shared`, for a node that is to be added. */
export function sharedNode(node: Node): JsonObject {
  return { ...shared(node), data: isObject(node.data) ? finite(node.data) : {} };
}

/** Copy without a member. */
export function without<T extends object, K extends keyof T>(object: T, ...names: K[]): Omit<T, K> {
  const copy = { ...object };
  for (const name of names) {
    // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- it is a copy of ours
    delete copy[name];
  }
  return copy;
}
