/** A node's chosen look: its fill and border. Pure functions. */

import type { CSSProperties } from "react";

import { HEX } from "./kinds";

/** The border styles. */
export const LINES = ["solid", "dashed", "dotted"] as const;

/** The widest border, in pixels. */
export const MAX_BORDER = 8;

/** The supported part of a node's `style`; `null` if nobody has chosen. */
export interface Look {
  /** As `#rrggbb` or `#rgb`. */
  fill: string | null;
  border: string | null;
  /** Pixels. */
  width: number | null;
  line: (typeof LINES)[number] | null;
}

const PLAIN: Look = { fill: null, border: null, width: null, line: null };

const SHORTHAND = /^(?:(\d+(?:\.\d+)?)px\s+)?(?:(solid|dashed|dotted)\s+)?(#[\da-f]{3}|#[\da-f]{6})?$/i;

function hexOf(value: unknown): string | null {
  return typeof value === "string" && HEX.test(value.trim()) ? value.trim() : null;
}

function widthOf(value: unknown): number | null {
  const number = typeof value === "string" ? Number(/^([\d.]+)(?:px)?$/.exec(value.trim())?.[1]) : value;
  return typeof number === "number" && number >= 0 ? Math.min(MAX_BORDER, number) : null;
}

/** Read a node's look from its React Flow `style`, also from `border: "2px solid #e11d48"`; ignore other values. */
export function lookOf(node: object): Look {
  const { style } = node as { style?: unknown };
  if (typeof style !== "object" || style === null) {
    return PLAIN;
  }
  const { background, backgroundColor, border, borderColor, borderWidth, borderStyle } = style as Readonly<Record<string, unknown>>;
  const [, width, line, color] = (typeof border === "string" ? SHORTHAND.exec(border.trim()) : null) ?? [];
  return {
    fill: hexOf(backgroundColor) ?? hexOf(background),
    border: hexOf(borderColor) ?? color ?? null,
    width: widthOf(borderWidth) ?? widthOf(width),
    line: LINES.find((one) => one === borderStyle) ?? LINES.find((one) => one === line) ?? null,
  };
}

/** Give the patch of a node's `style` for a look; `undefined` leaves a value as it is. Shorthands are written out. */
export function styling(node: object, change: Partial<Look>): Record<string, string | number | null> {
  const { style } = node as { style?: unknown };
  const has = (name: string): boolean => typeof style === "object" && style !== null && Object.hasOwn(style, name);
  const { fill, border, width, line } = { ...(has("border") ? lookOf(node) : {}), ...change };
  return {
    ...(fill === undefined || !("fill" in change) ? {} : { backgroundColor: fill, ...(has("background") ? { background: null } : {}) }),
    ...(border === undefined ? {} : { borderColor: border }),
    ...(width === undefined ? {} : { borderWidth: width }),
    ...(line === undefined ? {} : { borderStyle: line }),
    ...(has("border") && ("border" in change || "width" in change || "line" in change) ? { border: null } : {}),
  };
}

/** Give a colour's relative luminance, from 0 to 1 (WCAG 2.2). */
function luminanceOf(hex: string): number {
  const long = hex.length === 4 ? hex.slice(1).replaceAll(/./g, "$&$&") : hex.slice(1);
  const digits = long.match(/../g) ?? [];
  const [red = 0, green = 0, blue = 0] = digits.map((two) => {
    const part = parseInt(two, 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Give the more readable text colour on a fill, black or white, at 4.5:1 or more; white if it isn't a hex colour. */
export function inkOn(fill: string): string {
  if (!HEX.test(fill)) {
    return "#ffffff";
  }
  const luminance = luminanceOf(fill);
  return 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 ? "#ffffff" : "#000000";
}

/** Give the class names and the style for a look. */
export function dressed({ fill, border, width, line }: Look): { className: string; style: CSSProperties } {
  const names = [fill === null ? "" : "filled", border === null && width === null && line === null ? "" : "bordered"];
  const style = {
    ...(fill === null ? {} : { "--fill": fill, "--ink": inkOn(fill) }),
    ...(border === null ? {} : { "--border": border }),
    ...(width === null ? {} : { "--border-width": `${width}px` }),
    ...(line === null ? {} : { "--border-line": line }),
  } as CSSProperties;
  return { className: names.filter(Boolean).join(" "), style };
}

/** Give the lengths of a line's dashes and gaps as SVG writes them; `null` for a solid line. */
export function dashesOf({ line }: Look, width: number): string | null {
  return line === "dashed" ? `${width * 3} ${width * 2}` : line === "dotted" ? `${width} ${width}` : null;
}
