import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import fc from "fast-check";
import { expect, test } from "vitest";

import { basesIn, textsIn, withOthers } from "../../src/model/bases";
import { TextDraft } from "../../src/model/drafts";
import { MAX_EFFORT, mergeTexts, placeAfter } from "../../src/model/texts";

interface Case {
  base: string;
  theirs: string;
  mine: string;
  text: string;
}

const FILE = fileURLToPath(new URL("../../../../tests/support/textcases.json", import.meta.url));
const cases = JSON.parse(readFileSync(FILE, "utf8")) as Case[];

const words = fc.array(fc.constantFrom("ab", "c", "日", "😀", "😁", " ", "  ", "\n"), { maxLength: 12 });
const text = words.map((some) => some.join(""));

test("dom4 texts are merged as the server does", () => {
  expect(cases.length).toBeGreaterThan(100);
  for (const { base, theirs, mine, text: expected } of cases) {
    expect(mergeTexts(base, theirs, mine).text, JSON.stringify([base, theirs, mine])).toBe(expected);
  }
});

test("jsc9 of a text that one has changed there is that one's version", () => {
  fc.assert(
    fc.property(text, text, (base, changed) => {
      expect(mergeTexts(base, changed, base)).toEqual({ text: changed, isConflict: false });
      expect(mergeTexts(base, base, changed)).toEqual({ text: changed, isConflict: false });
    }),
  );
});

test("jsc9 nothing that was put in is lost, and no character is torn", () => {
  fc.assert(
    fc.property(text, text, text, (base, theirs, mine) => {
      const merged = mergeTexts(base, theirs, mine).text;
      const count = (of: string, character: string): number => of.split(character).length - 1;
      for (const character of ["a", "c", "日", "😀", "😁"]) {
        const [was, their, my] = [base, theirs, mine].map((one) => count(one, character));
        const added = Math.max(0, (their ?? 0) - (was ?? 0)) + Math.max(0, (my ?? 0) - (was ?? 0));
        expect(count(merged, character)).toBeGreaterThanOrEqual(added);
      }
      expect(() => encodeURIComponent(merged)).not.toThrow();
    }),
    { numRuns: 2_000 },
  );
});

test("jsc9 where both have changed the same words both versions stand there", () => {
  expect(mergeTexts("Orders", "Stock", "Deliveries")).toEqual({ text: "Deliveries Stock", isConflict: true });
  expect(mergeTexts("the cat sat", "the cut sat", "the cot sat")).toEqual({ text: "the cot cut sat", isConflict: true });
  expect(mergeTexts("one\ntwo\nthree", "one\n2\nthree", "one\nzwei\nthree")).toEqual({ text: "one\nzwei 2\nthree", isConflict: true });
  // What one has taken out while the other wrote in it stays.
  expect(mergeTexts("a long way", "", "a very long way")).toEqual({ text: "a very long way", isConflict: true });
  expect(mergeTexts("a long way", "a way", "a way")).toEqual({ text: "a way", isConflict: false });
  expect(mergeTexts("a long way", "a way", "a long way home")).toEqual({ text: "a way home", isConflict: false });
});

test("jsc9 who goes on where they wrote before stays beside it", () => {
  expect(mergeTexts("", "uno d", "alph").text).toBe("alphuno d");
  expect(mergeTexts("alph", "alphuno d", "alpha be").text).toBe("alpha beuno d");
});

test("jsc9 texts that are too much to compare are compared as a whole", () => {
  const many = (word: string): string => Array.from({ length: 3_000 }, (_, n) => `${word}${n % 7}`).join(" ");
  const effort = { left: MAX_EFFORT };
  const merged = mergeTexts(many("a"), `${many("b")} b`, `c ${many("a")} c`, effort);
  expect(merged.text).toMatch(/^c .*b$/);
  expect(effort.left).toBeGreaterThan(-3_000);
});

test("dom4 texts for which no effort is left both stand", () => {
  const effort = { left: -1 };
  expect(mergeTexts("a b c", "a x c", "y b c", effort)).toEqual({ text: "y b c a x c", isConflict: true });
  expect(mergeTexts("a", "", "b", effort).text).toBe("b");
  expect(mergeTexts("", "a", "b", effort).text).toBe("ba");
  expect(effort.left).toBe(-1);
});

test("dom4 of one patch 32 texts are merged", () => {
  const names = Array.from({ length: 34 }, (_, n) => `t${n}`);
  const texts = (value: string): { data: Record<string, string> } => ({
    data: Object.fromEntries(names.map((name) => [name, value])),
  });
  const bases = Object.fromEntries(names.map((name) => [`/data/${name}`, "base"]));
  const { patch } = withOthers(texts("base theirs"), texts("mine base"), bases);
  const merged = [...names.slice(0, 32).map(() => "mine base theirs"), "mine base", "mine base"];
  expect(Object.values(patch["data"] as object)).toEqual(merged);
});

test("jsc9 a place in a text stays where it was", () => {
  expect(placeAfter(3, "one two", "zero one two")).toBe(8);
  expect(placeAfter(3, "one two", "one and two")).toBe(3);
  expect(placeAfter(7, "one two", "one two three")).toBe(7);
  expect(placeAfter(6, "one two three", "one three")).toBe(4);
  fc.assert(
    fc.property(text, text, fc.nat({ max: 12 }), (before, after, place) => {
      const found = placeAfter(Math.min(place, before.length), before, after);
      expect(found).toBeGreaterThanOrEqual(0);
      expect(found).toBeLessThanOrEqual(after.length);
    }),
  );
});

test("jsc9 a patch's texts are those that it says, and what is gone is no text to merge with", () => {
  const document = { title: "T", nodes: { "a/b": { data: { label: "L", n: 1 } } } };
  const patch = { title: "X", nodes: { "a/b": { data: { label: null, n: "1", new: "N" } } } };
  const bases = basesIn(document, textsIn(patch));
  expect(bases).toEqual({ "/title": "T", "/nodes/a~1b/data/label": "L", "/nodes/a~1b/data/new": "" });
  expect(withOthers(document, patch, bases).patch).toBe(patch);
  const changed = { title: "T T", nodes: { "a/b": { data: { label: "L more", n: 1, new: "Y" } } } };
  expect(withOthers(changed, patch, bases)).toEqual({
    patch: { title: "X T", nodes: { "a/b": { data: { label: " more", n: "1", new: "NY" } } } },
    conflicts: [],
  });
  expect(withOthers({ nodes: {} }, patch, bases).patch).toBe(patch);
});

test("jsc9 what one has written is taken back without what others wrote", () => {
  const draft = new TextDraft("one two");
  expect(draft.write("one big two", "one two")).toBe("one big two");
  draft.follow("zero one big two");
  expect(draft.without).toBe("zero one two");
  draft.follow("zero one bad two");
  expect(draft.without).toBe("zero one bad two");
});

test("jsc9 what comes while an input method composes is there behind it", () => {
  const draft = new TextDraft("two");
  expect(draft.write("two n", "one two")).toBe("one two n");
  expect(draft.write("two 日", "one two n")).toBe("one two 日");
  draft.follow("one two 日");
  expect(draft.without).toBe("one two");
});
