/** What belongs to one person and is never synced: selection, dragging, measured sizes. */

import type { Edge, Node } from "@xyflow/react";

import { isObject } from "../model/mergepatch.js";
import { type Tellable, tellable } from "../model/telling.js";
import type { Point } from "../types.js";

/** One person's own state of a node, and where it is while they drag or resize it. */
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

/** One person's own state of an edge. */
export interface PersonalEdge {
  readonly selected?: boolean;
}

const PERSONAL = new Set(["selected", "dragging", "resizing", "measured"]);

/** Give the part of a React Flow node or edge that belongs to the document and can be sent. */
export function shared(element: Node | Edge): Tellable {
  const members = Object.entries(element).filter(([name]) => !PERSONAL.has(name));
  return tellable(Object.fromEntries(members), ["source" in element ? "edges" : "nodes", element.id]);
}

/** As `shared`, for a node to add. */
export function sharedNode(node: Node): Tellable {
  return shared(isObject(node.data) ? node : { ...node, data: {} });
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
