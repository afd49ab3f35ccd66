/** Repairs text that was cut inside a character: in JavaScript, many characters are two code units. */

/** The most characters of a name that are shown to others. */
const MAX_NAME = 255;

/** Replace each lone surrogate by U+FFFD, as browsers and servers do on the wire. */
export function wellFormed(text: string): string {
  return /[\ud800-\udfff]/.test(text)
    ? new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(text))
    : text;
}

/** Shorten and clean one's own name for others. */
export function fittingName(name: string): string {
  const fitting = wellFormed(name);
  return fitting.length > MAX_NAME ? Array.from(fitting).slice(0, MAX_NAME).join("") : fitting;
}

/** Invisible characters that change how neighbouring text reads: controls, and marks of direction. */
const UNSEEN = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/** Clean somebody's name, so that it can be shown beside other words; `""` if nothing is left. */
export function shownName(name: string): string {
  return fittingName(name).replaceAll(UNSEEN, "").trim();
}

/** Read who has made something, as a server says, to be shown likewise; `""` where that isn't known. */
export function authorOf(by: unknown): string {
  return typeof by === "string" ? shownName(by) : "";
}
