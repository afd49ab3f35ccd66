/** Where there is room for something new, and for copies. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { Box } from "../../../src/drawing";
import { clearOf, GAP, roomFor } from "../../../src/flow/edits/room";

const SIZE = { width: 216, height: 62 };
const AREA = { x: 0, y: 0, width: 1200, height: 800 };

const box = fc.record({
  x: fc.integer({ min: -400, max: 1400 }), y: fc.integer({ min: -400, max: 1000 }),
  width: fc.integer({ min: 20, max: 900 }), height: fc.integer({ min: 20, max: 600 }),
});

describe("EDI54: new nodes are put where there is room", () => {
  it("never lies on anything, wherever everything is", () => {
    fc.assert(fc.property(fc.array(box, { maxLength: 60 }), fc.integer({ min: 0, max: 984 }), fc.integer({ min: 0, max: 738 }), (taken, x, y) => {
      const at = roomFor(SIZE, { x, y }, taken, AREA);
      expect(at).not.toBeNull();
      const { x: left = 0, y: top = 0 } = at ?? {};
      for (const one of taken) {
        const isApart = left >= one.x + one.width || one.x >= left + SIZE.width || top >= one.y + one.height || one.y >= top + SIZE.height;
        expect(isApart).toBe(true);
      }
    }));
  });

  it("takes the very place where that is free, and the nearest where it isn't", () => {
    expect(roomFor(SIZE, { x: 400, y: 400 }, [], AREA)).toEqual({ x: 400, y: 400 });
    const at = roomFor(SIZE, { x: 400, y: 400 }, [{ x: 400, y: 400, ...SIZE }], AREA);
    expect(at).toEqual({ x: 400, y: 496 });
  });

  it("fills what is in sight before it goes elsewhere", () => {
    const taken: Box[] = [];
    for (let n = 0; n < 30; n += 1) {
      const { x, y } = roomFor(SIZE, { x: 480, y: 360 }, taken, AREA) ?? { x: NaN, y: NaN };
      expect(x >= 0 && y >= 0 && x + SIZE.width <= AREA.width && y + SIZE.height <= AREA.height).toBe(true);
      taken.push({ x, y, ...SIZE });
    }
  });

  it("says that a group is full", () => {
    const group = { x: 0, y: 0, width: 280, height: 160 };
    expect(roomFor(SIZE, { x: GAP, y: 56 }, [{ x: 32, y: 64, ...SIZE }], group, true)).toBeNull();
  });

  it("is found at once among 20,000 nodes that leave none", () => {
    const taken = Array.from({ length: 20_000 }, (_, n) => ({ x: (n % 200) * 120, y: Math.floor(n / 200) * 60, ...SIZE }));
    const before = performance.now();
    expect(roomFor(SIZE, { x: 6_000, y: 3_000 }, taken, { x: 0, y: 0, width: 12_000, height: 8_000 })).not.toBeNull();
    expect(performance.now() - before).toBeLessThan(2_000);
  });
});

describe("EDI64: room among nodes that are made to leave none", () => {
  it("is found at once where each of 20,000 nodes covers everything", () => {
    const taken = Array.from({ length: 20_000 }, (_, n) => ({ x: -n, y: -n, width: 60_000, height: 60_000 }));
    const before = performance.now();
    expect(roomFor(SIZE, { x: 480, y: 360 }, taken, AREA)).not.toBeNull();
    expect(performance.now() - before).toBeLessThan(2_500);
  });

  it("is found at once for 10,000 copies on the way of as many nodes in a row", () => {
    const corners = Array.from({ length: 10_000 }, (_, n) => ({ x: -1_000 * n - 1_000, y: 0 }));
    const row = Array.from({ length: 10_000 }, (_, n) => ({ x: 32 * n, y: 32 * n }));
    const before = performance.now();
    const by = clearOf([...corners, { x: 0, y: 0 }], row, { x: 32, y: 32 }, { x: 32, y: 32 });
    expect(by.x).toBeGreaterThan(319_000);
    expect(performance.now() - before).toBeLessThan(2_500);
  });

  it("is where the nodes leave it, whatever they cover", () => {
    const covering = fc.array(fc.record({ x: fc.integer({ min: -900, max: 900 }), y: fc.integer({ min: -900, max: 900 }), width: fc.constantFrom(900, 1_400), height: fc.constantFrom(100, 1_200) }), { maxLength: 6 });
    fc.assert(fc.property(covering, (taken) => {
      const { x: left, y: top } = roomFor(SIZE, { x: 480, y: 360 }, taken, AREA) ?? { x: NaN, y: NaN };
      expect(taken.every((one) => left >= one.x + one.width || one.x >= left + SIZE.width || top >= one.y + one.height || one.y >= top + SIZE.height)).toBe(true);
    }));
  });
});

describe("EDI44: no copy begins where something else does", () => {
  const STEP = { x: 32, y: 32 };

  it("goes as far as it is told where nothing is", () => {
    expect(clearOf([{ x: 0, y: 0 }], [{ x: 0, y: 0 }], STEP, STEP)).toEqual(STEP);
  });

  it("goes on in steps until none of them is on another", () => {
    const taken = [{ x: 0, y: 0 }, { x: 33, y: 31 }, { x: 64, y: 64 }, { x: 400, y: 128 }];
    expect(clearOf([{ x: 0, y: 0 }], taken, STEP, STEP)).toEqual({ x: 96, y: 96 });
    expect(clearOf([{ x: 0, y: 0 }, { x: 304, y: 32 }], taken, STEP, STEP)).toEqual({ x: 128, y: 128 });
  });

  it("takes corners for one that are as near as it is told", () => {
    const [corner, other] = [{ x: 100, y: 100 }, { x: 100, y: 120 }];
    expect(clearOf([corner], [other], { x: 0, y: 12 }, { x: 0, y: 24 }, 24)).toEqual({ x: 0, y: 36 });
  });
});
