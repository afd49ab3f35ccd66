/** How nodes look where somebody has chosen that freely. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { dashesOf, dressed, inkOn, lookOf, styling } from "../src/look";

/** The contrast of two colours by WCAG 2.2, reckoned apart from what is tested. */
function contrast(a: string, b: string): number {
  const luminance = (hex: string): number => {
    const value = parseInt(hex.length === 4 ? hex.slice(1).replaceAll(/./g, "$&$&") : hex.slice(1), 16);
    const linear = (part: number): number => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear(value >> 16) + 0.7152 * linear((value >> 8) & 255) + 0.0722 * linear(value & 255);
  };
  const [dark = 0, bright = 0] = [luminance(a), luminance(b)].toSorted((x, y) => x - y);
  return (bright + 0.05) / (dark + 0.05);
}

describe("EDI52: free colours and borders", () => {
  it("writes on any colour so that it can be read", () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 0xffffff }), (value) => {
      const fill = `#${value.toString(16).padStart(6, "0")}`;
      expect(contrast(fill, inkOn(fill))).toBeGreaterThanOrEqual(4.5);
    }));
    expect(inkOn("#fff")).toBe("#000000");
    expect(inkOn("#123")).toBe("#ffffff");
  });

  it("reads what is written, and what an earlier generation's pages wrote", () => {
    const look = { fill: "#112233", border: "#e11d48", width: 2, line: "dashed" } as const;
    expect(lookOf({ style: styling({}, look) })).toEqual(look);
    expect(lookOf({ style: { background: "#abc", border: "2px solid #e11d48" } })).toEqual({ fill: "#abc", border: "#e11d48", width: 2, line: "solid" });
  });

  it("writes a shorthand out when a part of it changes, and keeps the rest", () => {
    const node = { style: { background: "#abc", border: "2px dashed #e11d48", width: 300 } };
    expect(styling(node, { width: 4 })).toEqual({ borderColor: "#e11d48", borderWidth: 4, borderStyle: "dashed", border: null });
    expect(styling(node, { fill: "#000000" })).toMatchObject({ backgroundColor: "#000000", background: null });
    expect(styling({}, { fill: null })).toEqual({ backgroundColor: null });
  });

  it.each([undefined, null, 5, "red", [], { background: "url(x)", border: 7, borderWidth: -1, borderColor: "red;}", borderStyle: "groove" }])(
    "takes %j for nothing that was chosen",
    (style) => {
      const look = lookOf({ style });
      expect(look).toEqual({ fill: null, border: null, width: null, line: null });
      expect(dressed(look)).toEqual({ className: "", style: {} });
    },
  );

  it("draws no border that is wider than the room for it", () => {
    expect(lookOf({ style: { borderWidth: 400 } }).width).toBe(8);
    expect(dashesOf({ fill: null, border: null, width: 2, line: "dashed" }, 2)).toBe("6 4");
  });
});
