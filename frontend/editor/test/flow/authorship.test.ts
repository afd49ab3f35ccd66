import type { Actor } from "helix-flows";
import { expect, test } from "vitest";

import { authorship } from "../../src/flow/history/authorship";

const actor = (kind: Actor["kind"], name = "Ada"): Actor => ({ id: "ada@example.com", kind, name });

test.each([
  [{ by: "Ada" }, "Ada"],
  [{ by: "" }, "Somebody"],
  [{ by: "Ada", actor: actor("person") }, "Ada"],
  [{ by: "", actor: actor("person", "") }, "ada@example.com"],
  [{ by: "", actor: actor("person") }, "Ada"],
  [{ by: "Ada", actor: actor("guest") }, "Ada (guest)"],
  [{ by: "Importer", actor: actor("service", "") }, "Importer (service)"],
  [{ by: "Ada", tags: { source: "ai" } }, "Ada (AI)"],
  [{ by: "Bot", actor: actor("service"), tags: { source: "ai", run: 7 } }, "Bot (service, AI)"],
  [{ by: "Ada", tags: { source: "human" } }, "Ada"],
  [{ by: "A\u202ed\na", actor: actor("guest") }, "Ada (guest)"],
])("acc112 the history says of %j: %s", (entry, said) => {
  expect(authorship(entry)).toBe(said);
});
