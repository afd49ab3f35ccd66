import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { Box } from "../../src/drawing";
import { MOST, seenOf } from "../../src/home/seen";

const FRAME = { x: 0, y: 0, width: 12_800, height: 12_800 };

function boxes(all: readonly Box[]): Map<string, Box> {
  return new Map(all.map((box, n) => [`n${n}`, box]));
}

const SIZE = { width: 216, height: 62 };

describe("edi60 what is drawn of a flow at home", () => {
  it("is all where that is little", () => {
    const few = boxes(Array.from({ length: MOST }, () => ({ x: 0, y: 0, ...SIZE })));
    expect(seenOf(few, FRAME)).toBe(few);
  });

  it("is no more than a person can tell apart, whatever there is", () => {
    const at = fc.integer({ min: -20_000, max: 20_000 });
    const box = fc.record({ x: at, y: at, width: fc.constantFrom(10, 216, 9_000), height: fc.constantFrom(10, 62, Number.NaN) });
    fc.assert(fc.property(fc.array(box, { minLength: MOST + 1, maxLength: MOST + 200, size: "max" }), (all) => {
      const seen = seenOf(boxes(all), FRAME);
      expect(seen.size).toBeGreaterThan(0);
      expect(seen.size).toBeLessThanOrEqual(MOST);
    }), { numRuns: 20 });
  });

  it("is of those in one place the one that lies above the others, in their order", () => {
    const pile = Array.from({ length: MOST }, () => ({ x: 0, y: 0, ...SIZE }));
    const seen = seenOf(boxes([{ x: 9_000, y: 9_000, ...SIZE }, ...pile, { x: 5_000, y: 0, ...SIZE }]), FRAME);
    expect([...seen.keys()]).toEqual(["n0", `n${MOST}`, `n${MOST + 1}`]);
  });
});
