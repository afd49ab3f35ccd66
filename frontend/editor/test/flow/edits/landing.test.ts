import type { FlowDocument, FlowNode } from "helix-flows";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { type Box, boxesOf } from "../../../src/drawing";
import { goingInto, groupAt } from "../../../src/flow/edits/landing";
import { Middles } from "../../../src/flow/edits/middles";

function flowOf(nodes: FlowNode[]): FlowDocument {
  return { title: "", description: "", viewport: { x: 0, y: 0, zoom: 1 }, data: {}, nodes: Object.fromEntries(nodes.map((node) => [node.id, node])), edges: {} };
}

const box = fc.record({ x: fc.integer({ min: 0, max: 400 }), y: fc.integer({ min: 0, max: 400 }), width: fc.integer({ min: 20, max: 300 }), height: fc.integer({ min: 20, max: 300 }) });

function groupOf({ x, y, width, height }: Box, n: number): FlowNode {
  return { id: `g${n}`, type: "group", position: { x, y }, width, height, data: {} };
}

/** Look through all groups, from above. */
function seenAt(flow: FlowDocument, { x, y, width, height }: Box): string | undefined {
  const [middleX, middleY] = [x + width / 2, y + height / 2];
  return [...boxesOf(flow)].filter(([id]) => id.startsWith("g")).findLast(([, group]) =>
    group.width * group.height > width * height && middleX >= group.x && middleX <= group.x + group.width && middleY >= group.y && middleY <= group.y + group.height)?.[0];
}

describe("edi59 the group that something is let go in", () => {
  it("is the one that is seen where its middle is, of those that are larger", () => {
    fc.assert(fc.property(fc.array(box, { maxLength: 20 }), fc.array(box, { maxLength: 30 }), (groups, dragged) => {
      const nodes = dragged.map((one, n): FlowNode => ({ id: `n${n}`, position: { x: -9_000, y: 0 }, data: {}, width: one.width, height: one.height }));
      const flow = flowOf([...groups.map(groupOf), ...nodes]);
      const going = goingInto(flow, new Map(dragged.map((one, n) => [`n${n}`, one])));
      dragged.forEach((one, n) => {
        expect(going.get(`n${n}`)).toBe(seenAt(flow, one));
        expect(groupAt(flow, one)).toBe(seenAt(flow, one));
      });
    }));
  });

  it("is found for many at once without a look at each node for each group", () => {
    const looks = (count: number): number => {
      let read = 0;
      const side = Math.sqrt(count);
      const cells = Array.from({ length: count }, (_, n): Box => ({ x: 400 * (n % side), y: 300 * Math.floor(n / side), width: 360, height: 260 }));
      const middles = new Middles(new Map(cells.map((cell, n) => [`n${n}`, { ...cell, width: 216, height: 62 }])));
      for (const [n, cell] of cells.entries()) {
        const counted = new Proxy(cell, { get: (target, name) => { read += 1; return Reflect.get(target, name) as unknown; } });
        expect(middles.takeIn(counted)).toEqual([`n${n}`]);
      }
      expect(middles.isEmpty).toBe(true);
      return read;
    };
    // Four times as many, and a tree that is two levels deeper.
    expect(looks(6_400)).toBeLessThan(6 * looks(1_600));
  });
});
