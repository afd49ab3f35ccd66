/** How somebody is shown in a small space: by a colour and initials. */

import type { CSSProperties } from "react";

import { inkOn } from "./look";

/** A person's colour, for styles. */
export function colorsOf({ color }: { color: string }): CSSProperties {
  return { "--by": color, "--on-by": inkOn(color) } as CSSProperties;
}

/** Give the first letters of a name. */
export function initials(name: string): string {
  const words = name.split(/\s+/).filter(Boolean);
  return words.slice(0, 2).map((word) => String.fromCodePoint(word.codePointAt(0) ?? 0).toUpperCase()).join("");
}
