import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { compose, diff, fresh, inverse, merge, minimal, same, share } from "../../src/model/mergepatch";
import { mergePatch, plain } from "../given";

describe("merge patches", () => {
  // The examples of RFC 7396, appendix A.
  test.each([
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [["a", "b"], ["c", "d"], ["c", "d"]],
    [{ a: "b" }, ["c"], ["c"]],
    [{ a: "foo" }, null, null],
    [{ a: "foo" }, "bar", "bar"],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: "b", c: null }, { a: "b" }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])("jsc1 merge(%j, %j) is %j", (target, patch, result) => {
    expect(merge(target, patch)).toEqual(result);
  });

  test("jsc1 what a merge doesn't touch is the very same, and a merge of nothing changes nothing", () => {
    fc.assert(
      fc.property(plain, mergePatch, (document, patch) => {
        const before = structuredClone(document);
        const merged = merge(document, patch) as typeof document;
        expect(document).toEqual(before);
        for (const name of Object.keys(document)) {
          if (!Object.hasOwn(patch, name)) {
            expect(merged[name]).toBe(document[name]);
          }
        }
        expect(merge(document, minimal(document, {}))).toBe(document);
      }),
    );
  });

  test("jsc1 a minimal patch does the same", () => {
    fc.assert(
      fc.property(plain, mergePatch, (document, patch) => {
        const effective = minimal(document, patch);
        expect(merge(document, effective)).toEqual(merge(document, patch));
        expect(minimal(merge(document, patch) as typeof document, patch)).toEqual({});
      }),
    );
  });

  test("jsc1 the difference of two documents turns one into the other", () => {
    fc.assert(
      fc.property(plain, plain, (a, b) => {
        expect(merge(a, diff(a, b))).toEqual(b);
        expect(diff(a, structuredClone(a))).toEqual({});
      }),
    );
  });

  test("jsc10 the inverse undoes a patch", () => {
    fc.assert(
      fc.property(plain, mergePatch, (document, patch) => {
        expect(merge(merge(document, patch), inverse(document, patch))).toEqual(document);
      }),
    );
  });

  test("jsc9 two patches in one do what they do one after the other", () => {
    fc.assert(
      fc.property(plain, mergePatch, mergePatch, (document, p, q) => {
        const both = compose(p, q);
        fc.pre(both !== null);
        expect(merge(document, both)).toEqual(merge(merge(document, p), q));
      }),
    );
    expect(compose({ a: null }, { a: { b: 1 } })).toBeNull();
    expect(compose({ a: 1 }, { a: { b: 1 } })).toBeNull();
  });

  test("jsc12 sharing gives the same value, in the parts that were there", () => {
    fc.assert(
      fc.property(plain, plain, (previous, next) => {
        expect(share(previous, next)).toEqual(next);
        expect(share(previous, structuredClone(previous))).toBe(previous);
      }),
    );
  });

  test("jsc1 only what JSON holds alike is the same", () => {
    expect(same({ a: [1, { b: null }] }, { a: [1, { b: null }] })).toBe(true);
    expect(same(1, true)).toBe(false);
    expect(same({}, [])).toBe(false);
    expect(same({ a: 1 }, { b: 1 })).toBe(false);
    expect(same([1, 2], [1])).toBe(false);
    expect(fresh({ a: null, b: { c: null } })).toEqual({ b: {} });
  });
});
