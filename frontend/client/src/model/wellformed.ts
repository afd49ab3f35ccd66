/** Text that was cut within a character: in JavaScript's strings many characters are two units. */

/** Characters of a name that others are shown, at most. */
const MAX_NAME = 255;

/** Put U+FFFD for each half of a character, as browsers and servers do for what goes over the wire. */
export function wellFormed(text: string): string {
  return /[\ud800-\udfff]/.test(text)
    ? new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(text))
    : text;
}

/** Make of a name what others can be told. */
export function fittingName(name: string): string {
  const fitting = wellFormed(name);
  return fitting.length > MAX_NAME ? Array.from(fitting).slice(0, MAX_NAME).join("") : fitting;
}

/** What isn't seen of a name, but has what stands beside it be read otherwise: controls, and marks of direction. */
const UNSEEN = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/** Make of a name that somebody gave what can be shown beside other words; `""` where nothing is left. */
export function shownName(name: string): string {
  return fittingName(name).replaceAll(UNSEEN, "").trim();
}

/** Read who has made something, as a server says, to be shown likewise; `""` where that isn't known. */
export function authorOf(by: unknown): string {
  return typeof by === "string" ? shownName(by) : "";
}
