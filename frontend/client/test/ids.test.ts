import { createHash } from "node:crypto";

import fc from "fast-check";
import { expect, test } from "vitest";

import { newId, publicId } from "../src/ids";
import { sha256 } from "../src/sha256";

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

test("jsc11 a digest is SHA-256's, however long the text is", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const digest = createHash("sha256").update(bytes).digest("hex");
      expect(Buffer.from(sha256(bytes)).toString("hex")).toBe(digest);
    }),
  );
});

test("jsc11 two clients have two names", () => {
  expect(newId(Math.random)).not.toBe(newId(Math.random));
});
