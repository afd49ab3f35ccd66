/**
 * Three-way merge of texts that several people edit at once.
 *
 * The rules are the server's (`helix/documents/text_merge.py`, docs/spec.md DOM4), so that the text shown before the server's
 * answer is the one after it.
 */

/** The steps that are left for comparing texts. Beyond them texts are compared as a whole. */
export interface Effort {
  left: number;
}

/** The most steps for comparing the texts of one patch. */
export const MAX_EFFORT = 100_000;

/** Characters that are scanned as a whole in the time of one step ... */
const PER_STEP = 64;

/** ... and pieces that a text is split into. */
const PIECES_PER_STEP = 2;

/** The merge of two texts with a common base. */
export interface Merged {
  text: string;
  /** Whether both changed the same words. Then both versions are in it. */
  isConflict: boolean;
}

/** The text that replaces `base.slice(start, end)`. */
interface Hunk {
  start: number;
  end: number;
  text: string;
}

/**
 * Merge two texts that were made from `base`: with both sides' insertions, and without what either side
 * deleted. If both changed the same words, both versions stand there.
 *
 * @param theirs the one that came first. If both insert at one place, its insertion comes second.
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

/** Give a place's position in the changed text; an insertion at that place comes after it. */
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

/** Merges two lists of changes that are sorted by place. */
class Merge {
  readonly #base: string;
  readonly #theirs: Hunk[];
  readonly #mine: Hunk[];
  #text = "";
  /** How much of the base is done. */
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

  /** Take the next change with all that overlap it. */
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

  /** Keep both versions of the words, mine first. */
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

/** Tell whether a change comes before another: at one place, insertions come before deletions. */
function isBefore(one: Hunk, other: Hunk): boolean {
  return one.start < other.start || (one.start === other.start && one.end === one.start && other.end > other.start);
}

/** Apply changes to a part of a text. */
function applied(base: string, from: number, to: number, hunks: readonly Hunk[]): string {
  let text = "";
  let at = from;
  for (const hunk of hunks) {
    text += base.slice(at, hunk.start) + hunk.text;
    at = hunk.end;
  }
  return text + base.slice(at, to);
}

/** List the changes from `base` to `text`. */
function hunksOf(base: string, text: string, effort: Effort): Hunk[] {
  const whole = trimmed(base, text, 0);
  const rough = isReplacing(whole) ? parted(base, whole, wordsOf, effort) : [whole];
  const fine = rough.flatMap((hunk) => (isReplacing(hunk) ? finer(base, hunk, effort) : [hunk]));
  const hunks = fine.filter((hunk) => hunk.start < hunk.end || hunk.text !== "");
  return hunks.map((hunk, n) => atWord(base, hunk, hunks[n - 1]?.end ?? 0, hunks[n + 1]?.start ?? base.length));
}

/** Tell whether a change replaces something. */
function isReplacing({ start, end, text }: Hunk): boolean {
  return start < end && text !== "";
}

/** Split a change into smaller ones, of only the pieces that differ. */
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

/** Reduce a change to characters, if they were only inserted or only deleted. */
function finer(base: string, hunk: Hunk, effort: Effort): Hunk[] {
  const hunks = parted(base, hunk, (text) => Array.from(text), effort);
  const areOfAKind = hunks.every(({ text }) => text === "") || hunks.every(({ start, end }) => start === end);
  return areOfAKind ? hunks : [hunk];
}

/** Make one change of two texts, without their common start and end. */
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

/** Move an insertion or deletion to the last place with the same result, or to an earlier one where a word begins. */
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

/** Tell how much earlier a change could be, so that it starts at the beginning of a word. */
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

/** Tell whether a place is inside a surrogate pair. */
function isHalf(text: string, at: number): boolean {
  return at > 0 && at < text.length && (text.codePointAt(at - 1) ?? 0) > 0xffff;
}

function isSpace(character: string | undefined): boolean {
  return character !== undefined && " \t\r\n".includes(character);
}

/** Split a text into words and what is between them; in scripts without spaces, into characters. */
function wordsOf(text: string): string[] {
  return text.match(/[^ \t\r\n\u2e80-\u{10ffff}]+|[ \t\r\n]+|[\u2e80-\u{10ffff}]/gu) ?? [];
}

/** Leave out equal white space that isn't beside an equal word: it means nothing. */
function telling(common: readonly Place[], words: readonly string[]): Place[] {
  const isWord = (pair: Place | undefined): boolean => pair !== undefined && !isSpace(words[pair[0]]?.[0]);
  const isBeside = (pair: Place | undefined, [x, y]: Place, by: number): boolean =>
    isWord(pair) && pair?.[0] === x + by && pair[1] === y + by;
  return common.filter((pair, n) => isWord(pair) || isBeside(common[n - 1], pair, -1) || isBeside(common[n + 1], pair, 1));
}

/**
 * List the longest common pieces of two sequences: Myers, "An O(ND) Difference Algorithm
 * and Its Variations", 1986.
 *
 * @returns pairs of places; `null` if that takes too many steps.
 */
function commonPieces(a: readonly string[], b: readonly string[], effort: Effort): Place[] | null {
  /** By the number of differences so far: the farthest place on each diagonal. */
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

/** Tell from which diagonal `k` is reached by one more difference. */
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
