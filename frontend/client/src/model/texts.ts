/**
 * Texts that several people write in at once: three versions of one become a fourth that has what all wrote.
 *
 * The rules are the server's (`helix/texts.py`, docs/spec.md DOM4), so that what is shown before the server
 * has answered is what it will be.
 */

/** How much work texts may still be compared with, in steps; what goes beyond is compared as a whole. */
export interface Effort {
  left: number;
}

/** Steps by which the texts of one patch are compared, at most. */
export const MAX_EFFORT = 100_000;

/** Characters that are looked through as a whole in the time of a step ... */
const PER_STEP = 64;

/** ... and pieces that a text is taken apart into. */
const PIECES_PER_STEP = 2;

/** Two texts that were made of one. */
export interface Merged {
  text: string;
  /** Whether both have changed the same words: both versions are in it. */
  isConflict: boolean;
}

/** What a text has in place of `base.slice(start, end)`. */
interface Hunk {
  start: number;
  end: number;
  text: string;
}

/**
 * Make one text of two that were made of `base`, with what both have put in and without what either has
 * taken out. Where both have changed the same words both versions stand there.
 *
 * @param theirs what came first; where both have put something in at one place, it stands behind.
 */
export function mergeTexts(
  base: string,
  theirs: string,
  mine: string,
  effort: Effort = { left: MAX_EFFORT },
): Merged {
  if (theirs === base) {
    return { text: mine, isConflict: false };
  }
  if (mine === base) {
    return { text: theirs, isConflict: false };
  }
  if (effort.left < 0) {
    const [whole, other] = [theirs, mine].map((text): Hunk[] => [{ start: 0, end: base.length, text }]);
    return new Merge(base, whole ?? [], other ?? []).run();
  }
  effort.left -= Math.floor((base.length + theirs.length + mine.length) / PER_STEP);
  return new Merge(base, hunksOf(base, theirs, effort), hunksOf(base, mine, effort)).run();
}

/** Tell where a place in a text is in what that has become; what is put in right there comes behind it. */
export function placeAfter(place: number, before: string, after: string): number {
  let shift = 0;
  for (const { start, end, text } of hunksOf(before, after, { left: MAX_EFFORT })) {
    if (place <= start) {
      break;
    }
    if (place < end) {
      return start + shift + Math.min(text.length, place - start);
    }
    shift += text.length - (end - start);
  }
  return place + shift;
}

/** Merges the changes of two, which are in the order of their places. */
class Merge {
  readonly #base: string;
  readonly #theirs: Hunk[];
  readonly #mine: Hunk[];
  #text = "";
  /** Up to where of the base the text is made. */
  #at = 0;
  #isConflict = false;

  constructor(base: string, theirs: Hunk[], mine: Hunk[]) {
    this.#base = base;
    this.#theirs = [...theirs];
    this.#mine = [...mine];
  }

  run(): Merged {
    while (this.#theirs.length > 0 || this.#mine.length > 0) {
      this.#take();
    }
    return { text: this.#text + this.#base.slice(this.#at), isConflict: this.#isConflict };
  }

  /** Take the next change, with all that overlap it. */
  #take(): void {
    const [their, my] = [this.#theirs[0], this.#mine[0]];
    const isMine = their === undefined || (my !== undefined && !isBefore(their, my));
    const first = (isMine ? this.#mine : this.#theirs).shift() as Hunk;
    const mine = isMine ? [first] : [];
    const theirs = isMine ? [] : [first];
    let { end } = first;
    for (;;) {
      const side = [this.#mine, this.#theirs].find(([next]) => next !== undefined && next.start < end && next.end > first.start);
      const next = side?.shift();
      if (next === undefined) {
        break;
      }
      (side === this.#mine ? mine : theirs).push(next);
      end = Math.max(end, next.end);
    }
    if (mine.length === 0 || theirs.length === 0) {
      this.#put(first.start, end, applied(this.#base, first.start, end, [...mine, ...theirs]));
    } else if ([...mine, ...theirs].every(({ text }) => text === "")) {
      this.#put(first.start, end, "");
    } else {
      this.#keepBoth(first.start, end, mine, theirs);
    }
  }

  /** Let both versions of words stand there, mine first. */
  #keepBoth(from: number, to: number, mine: readonly Hunk[], theirs: readonly Hunk[]): void {
    let [start, end] = [from, to];
    const limit = Math.min(this.#mine[0]?.start ?? Infinity, this.#theirs[0]?.start ?? Infinity, this.#base.length);
    while (start > this.#at && !isSpace(this.#base[start - 1])) {
      start -= 1;
    }
    while (end < limit && !isSpace(this.#base[end])) {
      end += 1;
    }
    const my = applied(this.#base, start, end, mine);
    const their = applied(this.#base, start, end, theirs);
    const isApart = my === "" || their === "" || isSpace(my.at(-1)) || isSpace(their[0]);
    this.#isConflict = true;
    this.#put(start, end, my + (isApart ? "" : /\n/.test(my + their) ? "\n" : " ") + their);
  }

  #put(start: number, end: number, text: string): void {
    this.#text += this.#base.slice(this.#at, start) + text;
    this.#at = end;
  }
}

/** Tell whether a change comes before another: what puts in before what takes out at the same place. */
function isBefore(one: Hunk, other: Hunk): boolean {
  return one.start < other.start || (one.start === other.start && one.end === one.start && other.end > other.start);
}

/** Give what of a text's part becomes by changes in it. */
function applied(base: string, from: number, to: number, hunks: readonly Hunk[]): string {
  let text = "";
  let at = from;
  for (const hunk of hunks) {
    text += base.slice(at, hunk.start) + hunk.text;
    at = hunk.end;
  }
  return text + base.slice(at, to);
}

/** Tell what has to be changed in `base` to have `text`. */
function hunksOf(base: string, text: string, effort: Effort): Hunk[] {
  const whole = trimmed(base, text, 0);
  const rough = isReplacing(whole) ? parted(base, whole, wordsOf, effort) : [whole];
  const fine = rough.flatMap((hunk) => (isReplacing(hunk) ? finer(base, hunk, effort) : [hunk]));
  const hunks = fine.filter((hunk) => hunk.start < hunk.end || hunk.text !== "");
  return hunks.map((hunk, n) => atWord(base, hunk, hunks[n - 1]?.end ?? 0, hunks[n + 1]?.start ?? base.length));
}

/** Tell whether a change puts something in the place of something else. */
function isReplacing({ start, end, text }: Hunk): boolean {
  return start < end && text !== "";
}

/** Make smaller changes of one: of the pieces that aren't the same. */
function parted(base: string, whole: Hunk, piecesOf: (text: string) => string[], effort: Effort): Hunk[] {
  if (whole.end - whole.start + whole.text.length > PIECES_PER_STEP * effort.left) {
    return [whole];
  }
  const [a, b] = [piecesOf(base.slice(whole.start, whole.end)), piecesOf(whole.text)];
  effort.left -= Math.floor((a.length + b.length) / PIECES_PER_STEP);
  const common = commonPieces(a, b, effort);
  if (common === null) {
    return [whole];
  }
  const hunks: Hunk[] = [];
  let start = whole.start;
  let [i, j] = [0, 0];
  for (const [x, y] of [...telling(common, a), [a.length, b.length] as const]) {
    const [old, now] = [a.slice(i, x).join(""), b.slice(j, y).join("")];
    if (old !== now) {
      hunks.push(trimmed(old, now, start));
    }
    start += old.length + (a[x]?.length ?? 0);
    [i, j] = [x + 1, y + 1];
  }
  return hunks;
}

/** Make a change one of characters, where they were only put in, or only taken out. */
function finer(base: string, hunk: Hunk, effort: Effort): Hunk[] {
  const hunks = parted(base, hunk, (text) => Array.from(text), effort);
  const areOfAKind = hunks.every(({ text }) => text === "") || hunks.every(({ start, end }) => start === end);
  return areOfAKind ? hunks : [hunk];
}

/** Make one change of two texts: without what they begin and end with alike. */
function trimmed(old: string, now: string, offset: number): Hunk {
  const shorter = Math.min(old.length, now.length);
  let start = 0;
  while (start < shorter && old[start] === now[start]) {
    start += 1;
  }
  if (isHalf(old, start) || isHalf(now, start)) {
    start -= 1;
  }
  let tail = 0;
  while (tail < shorter - start && old[old.length - 1 - tail] === now[now.length - 1 - tail]) {
    tail += 1;
  }
  if (isHalf(old, old.length - tail) || isHalf(now, now.length - tail)) {
    tail -= 1;
  }
  return { start: offset + start, end: offset + old.length - tail, text: now.slice(start, now.length - tail) };
}

/** Let what was put in, or taken out, be said of the last place where it makes the same, or of one before where a word begins. */
function atWord(base: string, hunk: Hunk, first: number, last: number): Hunk {
  if (isReplacing(hunk)) {
    return hunk;
  }
  const { start, end } = hunk;
  const words = hunk.text === "" ? base.slice(start, end) : hunk.text;
  const after = words + base.slice(end, last);
  let by = 0;
  while (end + by < last && base[end + by] === after[by]) {
    by += 1;
  }
  by -= isHalf(base, start + by) || isHalf(base, end + by) ? 1 : 0;
  by -= toWord(base.slice(first, start + by), after.slice(by, by + words.length));
  const text = by < 0 ? base.slice(start + by, start) + words : after.slice(by);
  return { start: start + by, end: end + by, text: hunk.text === "" ? "" : text.slice(0, words.length) };
}

/** Tell by how much words could be earlier, behind what is before them, so that a word begins there. */
function toWord(before: string, words: string): number {
  for (let back = 0; ; back += 1) {
    const character = before[before.length - 1 - back];
    if (character === undefined || isSpace(character)) {
      return back;
    }
    if (isSpace(words[0]) || back === words.length || character !== words.at(-1 - back)) {
      return 0;
    }
  }
}

/** Tell whether a place is within a character of two halves. */
function isHalf(text: string, at: number): boolean {
  return at > 0 && at < text.length && (text.codePointAt(at - 1) ?? 0) > 0xffff;
}

function isSpace(character: string | undefined): boolean {
  return character !== undefined && " \t\r\n".includes(character);
}

/** Part a text into words and what is between them; where words have nothing between, into characters. */
function wordsOf(text: string): string[] {
  return text.match(/[^ \t\r\n\u2e80-\u{10ffff}]+|[ \t\r\n]+|[\u2e80-\u{10ffff}]/gu) ?? [];
}

/** Leave out white space that is the same beside no word that is: it says nothing. */
function telling(common: readonly Place[], words: readonly string[]): Place[] {
  const isWord = (pair: Place | undefined): boolean => pair !== undefined && !isSpace(words[pair[0]]?.[0]);
  const isBeside = (pair: Place | undefined, [x, y]: Place, by: number): boolean =>
    isWord(pair) && pair?.[0] === x + by && pair[1] === y + by;
  return common.filter((pair, n) => isWord(pair) || isBeside(common[n - 1], pair, -1) || isBeside(common[n + 1], pair, 1));
}

/**
 * List where two sequences have the same pieces, as many as can be: Myers, "An O(ND) Difference Algorithm
 * and Its Variations", 1986.
 *
 * @returns pairs of places; `null` where that takes too much effort.
 */
function commonPieces(a: readonly string[], b: readonly string[], effort: Effort): Place[] | null {
  /** By the number of differences so far: how far one gets on each diagonal. */
  const trace: Reach[] = [];
  let reach: Reach = new Map([[1, 0]]);
  for (let differences = 0; ; differences += 1) {
    trace.push(reach);
    reach = new Map(reach);
    for (let k = -differences; k <= differences; k += 2) {
      const from = diagonalBefore(reach, k, differences);
      let x = (reach.get(from) ?? 0) + (from < k ? 1 : 0);
      effort.left -= 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) {
        x += 1;
        effort.left -= 1;
      }
      if (effort.left < 0) {
        return null;
      }
      reach.set(k, x);
      if (x >= a.length && x - k >= b.length) {
        return pathTo(trace, [a.length, b.length]);
      }
    }
  }
}

type Place = readonly [number, number];
type Reach = Map<number, number>;

/** Tell from which diagonal one comes to diagonal `k` by one more difference. */
function diagonalBefore(reach: Reach, k: number, differences: number): number {
  const isFromAbove = k === -differences || (k !== differences && (reach.get(k - 1) ?? 0) < (reach.get(k + 1) ?? 0));
  return isFromAbove ? k + 1 : k - 1;
}

function pathTo(trace: readonly Reach[], end: Place): Place[] {
  const common: Place[] = [];
  let [x, y] = end;
  for (const [differences, reach] of [...trace.entries()].reverse()) {
    const from = diagonalBefore(reach, x - y, differences);
    const fromX = reach.get(from) ?? 0;
    while (x > fromX && y > fromX - from) {
      x -= 1;
      y -= 1;
      common.push([x, y]);
    }
    [x, y] = [fromX, fromX - from];
  }
  return common.reverse();
}
