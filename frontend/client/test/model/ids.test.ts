import { createHash } from "node:crypto";

import fc from "fast-check";
import { expect, test } from "vitest";

import { newId, publicId } from "../../src/model/ids";

test("jsc11 what others call a client is the beginning of its name's SHA-256", () => {
  // As docs/protocol.md has it.
  expect(publicId("")).toBe("47DEQpj8HBSa-_TImW-5JA");
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (secret) => {
      const digest = createHash("sha256").update(secret).digest().subarray(0, 16);
      expect(publicId(secret)).toBe(digest.toString("base64url"));
    }),
  );
});

test("jsc11 two clients have two names", () => {
  expect(newId(Math.random)).not.toBe(newId(Math.random));
});
