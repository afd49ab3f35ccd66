import type { Node, NodeChange } from "@xyflow/react";
import { describe, expect, it } from "vitest";

import { arrangementOf } from "../../../src/flow/canvas/arrangement";
import { joined, MOST_DEEP } from "../../../src/flow/canvas/chains";
import { shownNodes } from "../../../src/flow/canvas/elements";

const DEPTH = 20_000;

/** Nodes in nodes, each one unit to the right of the one around it. */
const nodes = Array.from({ length: DEPTH }, (_, n): Node => ({ id: `n${n}`, position: { x: 1, y: 0 }, data: {}, ...(n === 0 ? {} : { parentId: `n${n - 1}` }) }));
const arrangement = arrangementOf(nodes);
const shown = new Map(shownNodes(arrangement).map((node) => [node.id, node]));
const isCut = (id: string): boolean => id !== "n0" && shown.get(id)?.parentId === undefined;
const cut = `n${MOST_DEEP + 1}`;
const beside = `n${MOST_DEEP}`;

const moved = (id: string, x: number): NodeChange => ({ type: "position", id, position: { x, y: 0 }, dragging: true });

describe("edi57 a long chain of nodes in nodes", () => {
  it("is given to React Flow in pieces, each node where it is", () => {
    for (const { id } of shown.values()) {
      let at = shown.get(id);
      let x = 0;
      let depth = 0;
      for (; at !== undefined; at = shown.get(at.parentId ?? "")) {
        x += at.position.x;
        depth += 1;
      }
      expect(depth).toBeLessThanOrEqual(MOST_DEEP + 1);
      expect(x).toBe(arrangement.get(id)?.box.x);
    }
    expect([isCut(beside), isCut(cut)]).toEqual([false, true]);
  });

  it("has the places that React Flow tells of a piece relative to the node around it", () => {
    const around = arrangement.get(beside)?.box.x ?? 0;
    expect(joined([moved(cut, around + 9)], arrangement, isCut)).toEqual([moved(cut, 9)]);
    expect(joined([moved(beside, 9)], arrangement, isCut)).toEqual([moved(beside, 9)]);
    const other: NodeChange = { type: "select", id: cut, selected: true };
    expect(joined([other], arrangement, isCut)).toEqual([other]);
  });

  it("moves with the outermost that is moved, and not once more", () => {
    const inner = `n${MOST_DEEP + 50}`;
    const all = [moved("n7", 9), moved(cut, 900), moved(inner, 9), moved(`n${DEPTH - 1}`, 9)];
    expect(joined(all, arrangement, isCut)).toEqual([moved("n7", 9)]);
    // What moves with a node that React Flow has around it is told by React Flow itself, as where a group grows.
    expect(joined([moved("n7", 9), moved("n8", 9)], arrangement, isCut)).toEqual([moved("n7", 9), moved("n8", 9)]);
    const apart = [moved(inner, 9), moved("n9000", 9)];
    expect(joined(apart, arrangement, isCut).map((one) => ("id" in one ? one.id : ""))).toEqual([inner]);
  });

  it("is gone through once, however many of its nodes are moved", () => {
    let asked = 0;
    const counted = (id: string): boolean => {
      asked += 1;
      return isCut(id);
    };
    joined(nodes.slice(DEPTH / 2).map(({ id }) => moved(id, 9)), arrangement, counted);
    expect(asked).toBeLessThan(3 * DEPTH);
  });
});
