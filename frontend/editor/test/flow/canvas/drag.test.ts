import type { Edge, Node } from "@xyflow/react";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { align, linesOf } from "../../../src/flow/canvas/alignment";
import { arrangementOf, derivationOf, extentOf } from "../../../src/flow/canvas/arrangement";
import { shownNodes } from "../../../src/flow/canvas/elements";
import { givenIn } from "../../../src/flow/canvas/sight";

const AREA = { x: 0, y: 0, width: 1_000, height: 1_000 };

function node(id: string, x: number, y: number, more: Partial<Node> = {}): Node {
  return { id, position: { x, y }, data: {}, ...more };
}

/** Count how often the fields of nodes and edges are read. */
function counting(): { counted: <T extends object>(object: T) => T; reads: () => number } {
  let read = 0;
  return {
    counted: (object) => new Proxy(object, { get: (target, name) => { read += 1; return Reflect.get(target, name) as unknown; } }),
    reads: () => read,
  };
}

/** Count what a move of one node reads, in a row of so many, after some moves. */
function readsOfMove(count: number): number {
  const { counted, reads } = counting();
  const edges: Edge[] = Array.from({ length: count - 1 }, (_, n) => counted({ id: `e${n}`, source: `n${n}`, target: `n${n + 1}` }));
  let nodes = Array.from({ length: count }, (_, n) => counted(node(`n${n}`, 300 * n, 0)));
  let last = 0;
  let before: readonly Node[] | undefined;
  for (let step = 0; step < 4; step += 1) {
    const start = reads();
    const arrangement = arrangementOf(nodes, before);
    shownNodes(arrangement, givenIn(arrangement, edges, AREA));
    extentOf(arrangement);
    last = reads() - start;
    before = nodes;
    nodes = nodes.with(1, counted(node("n1", 300 + step, step, { dragging: true, selected: true })));
  }
  return last;
}

const SIDE = { min: -2_000, max: 2_000 };

const place = fc.record({ x: fc.integer(SIDE), y: fc.integer(SIDE) });

/** Nodes, some in others, each in one before it. */
const nested = fc.array(fc.record({ at: place, parent: fc.option(fc.nat(20)), isHeld: fc.boolean() }), { minLength: 1, maxLength: 14 }).map((all) =>
  all.map(({ at, parent, isHeld }, n) =>
    node(`n${n}`, at.x, at.y, { width: 300, height: 200, ...(parent === null || n === 0 ? {} : { parentId: `n${parent % n}` }), ...(isHeld ? { extent: "parent" as const } : {}) }),
  ),
);

describe("edi58 a node among many that is dragged", () => {
  it("costs the same however many there are", () => {
    expect(readsOfMove(8_000)).toBe(readsOfMove(2_000));
  });

  it("lies with all that is in it where it would lie if all were looked through anew", () => {
    fc.assert(fc.property(nested, fc.array(fc.record({ which: fc.nat(20), at: place, dragging: fc.boolean() }), { maxLength: 6 }), (nodes, moves) => {
      let now: readonly Node[] = nodes;
      arrangementOf(now);
      for (const { which, at, dragging } of moves) {
        const n = which % now.length;
        const next = now.with(n, { ...(now[n] as Node), position: at, dragging });
        expect(new Map(arrangementOf(next, now))).toEqual(new Map(arrangementOf([...next])));
        now = next;
      }
    }));
  });

  it("is given to React Flow, with all that would be given if all were looked through anew", () => {
    const pairs = fc.array(fc.tuple(fc.nat(13), fc.nat(13)), { maxLength: 10 });
    fc.assert(fc.property(nested, pairs, fc.nat(13), place, (inner, joined, which, at) => {
      const nodes = [...inner, ...Array.from({ length: 100 }, (_, n) => node(`far${n}`, 90_000, n))];
      const edges: Edge[] = joined.map(([a, b], n) => ({ id: `e${n}`, source: `n${a}`, target: `n${b}` }));
      const n = which % inner.length;
      arrangementOf(nodes);
      const next = nodes.with(n, { ...(nodes[n] as Node), position: at, dragging: true, selected: true });
      const derived = arrangementOf(next, nodes);
      expect(derivationOf(derived).from).toBe(arrangementOf(nodes));
      const [given, anew] = [givenIn(derived, edges, AREA), givenIn(arrangementOf([...next]), edges, AREA)];
      expect([...given.nodes]).toEqual(expect.arrayContaining([...anew.nodes]));
      expect(given.edges).toEqual(expect.arrayContaining([...anew.edges]));
      for (const id of anew.nodes) {
        expect(given.loose.has(id) && !anew.loose.has(id)).toBe(false);
      }
      const { x, y, width, height } = extentOf(derived);
      for (const { box } of derived.values()) {
        expect(box.x >= x && box.y >= y && box.x + box.width <= x + width && box.y + box.height <= y + height).toBe(true);
      }
    }));
  });

  it("is looked through anew where nodes came, went, or lie in others", () => {
    const nodes = [node("a", 0, 0), node("b", 9, 9), node("c", 5, 5, { parentId: "a" })];
    arrangementOf(nodes);
    const others = [
      nodes.slice(0, 2),
      [...nodes, node("d", 0, 0)],
      nodes.with(1, node("d", 9, 9)),
      nodes.with(2, node("c", 5, 5, { parentId: "b" })),
      nodes.with(1, node("b", 9, 9, { zIndex: 3 })),
    ];
    for (const next of others) {
      expect(new Map(arrangementOf(next, nodes))).toEqual(new Map(arrangementOf([...next])));
    }
  });

  it("is drawn into line by looking at few lines of many", () => {
    const boxes = Array.from({ length: 4_000 }, (_, n) => ({ x: 100 * n, y: Number.NaN, width: 40, height: 20 }));
    const lines = linesOf(boxes);
    let read = 0;
    const across = new Proxy(lines.across, {
      get: (target, name) => {
        read += 1;
        return Reflect.get(target, name, target) as unknown;
      },
    });
    expect(align({ x: 200_001, y: 0, width: 216, height: 62 }, { ...lines, across })).toMatchObject({ x: 200_000, vertical: 200_000, horizontal: null });
    expect(read).toBeLessThan(100);
  });
});
