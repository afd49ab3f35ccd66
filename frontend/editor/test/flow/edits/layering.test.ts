import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { inLayers } from "../../../src/flow/edits/layering";

const GAPS = { nodesep: 40, ranksep: 96 };

function sizesOf(count: number): Map<string, { width: number; height: number }> {
  return new Map(Array.from({ length: count }, (_, n) => [`n${n}`, { width: 100 + (n % 3) * 20, height: 40 + (n % 5) * 10 }]));
}

describe("edi57 many nodes that are stood in order", () => {
  it("are one behind the other, in a chain of 20,000", () => {
    const count = 20_000;
    const edges = Array.from({ length: count - 1 }, (_, n): [string, string] => [`n${n}`, `n${n + 1}`]);
    const places = inLayers(sizesOf(count), edges.toReversed(), GAPS);
    const row = Array.from({ length: count }, (_, n) => places.get(`n${n}`)?.x ?? NaN);
    expect(row.every((x, n) => n === 0 || x >= (row[n - 1] ?? Infinity) + 100 + GAPS.ranksep)).toBe(true);
  });

  const links = fc.integer({ min: 1, max: 30 }).chain((count) => {
    const end = fc.integer({ min: 0, max: count - 1 }).map((n) => `n${n}`);
    return fc.tuple(fc.constant(count), fc.array(fc.tuple(end, end), { maxLength: 60 }));
  });

  it("stand clear of each other, all of them, whatever leads where", () => {
    fc.assert(
      fc.property(links, ([count, edges]) => {
        const places = [...inLayers(sizesOf(count), edges, GAPS).values()];
        expect(places).toHaveLength(count);
        for (const [n, a] of places.entries()) {
          for (const b of places.slice(n + 1)) {
            const isClear = a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
            expect(isClear).toBe(true);
          }
        }
      }),
    );
  });

  it("lead from left to right where there is no circle", () => {
    fc.assert(
      fc.property(links, ([count, edges]) => {
        const forward = edges.filter(([a, b]) => Number(a.slice(1)) < Number(b.slice(1)));
        const places = inLayers(sizesOf(count), forward, GAPS);
        for (const [source, target] of forward) {
          const from = places.get(source);
          expect((from?.x ?? NaN) + (from?.width ?? NaN)).toBeLessThan(places.get(target)?.x ?? NaN);
        }
      }),
    );
  });

  it("cross little: what leads to the upper of two stands above what leads to the lower", () => {
    const places = inLayers(sizesOf(4), [["n0", "n3"], ["n1", "n2"]], GAPS);
    const y = (id: string): number => places.get(id)?.y ?? NaN;
    expect(Math.sign(y("n0") - y("n1"))).toBe(Math.sign(y("n3") - y("n2")));
  });
});
