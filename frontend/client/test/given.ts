/** What fast-check draws documents, patches and random numbers from. */

import fc from "fast-check";

import { emptyDocument, stage, apply } from "../src/model/document";
import type { FlowDocument, JsonObject } from "../src/types";

const NAMES = ["a", "b", "c", "toString"];
const NODE_IDS = ["n1", "n2", "n3", "n4"];
const EDGE_IDS = ["e1", "e2", "e3"];

const scalar = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constantFrom("x", "y"), fc.boolean());
const list = fc.array(fc.oneof(scalar, fc.constant(null)), { maxLength: 2 });

/** A JSON object without nulls: what may be part of a document. */
export const plain: fc.Arbitrary<JsonObject> = fc.letrec<{ object: JsonObject; value: unknown }>(
  (tie) => ({
    value: fc.oneof({ depthSize: "small" }, scalar, list, tie("object")),
    object: fc.dictionary(fc.constantFrom(...NAMES), tie("value"), { noNullPrototype: true }),
  }),
).object;

/** A merge patch of such. */
export const mergePatch: fc.Arbitrary<JsonObject> = fc.letrec<{
  object: JsonObject;
  value: unknown;
}>((tie) => ({
  value: fc.oneof({ depthSize: "small" }, scalar, list, fc.constant(null), tie("object")),
  object: fc.dictionary(fc.constantFrom(...NAMES), tie("value"), { noNullPrototype: true }),
})).object;

const point = fc.record({ x: fc.integer({ min: 0, max: 9 }), y: fc.integer({ min: 0, max: 9 }) });

function membersOf(
  ids: string[],
  create: (id: string) => fc.Arbitrary<JsonObject>,
  change: fc.Arbitrary<JsonObject>,
): fc.Arbitrary<JsonObject> {
  const one = fc.constantFrom(...ids).chain((id) =>
    fc.tuple(fc.constant(id), fc.oneof(create(id), change, fc.constant(null))),
  );
  return fc.array(one, { minLength: 1, maxLength: 2 }).map(Object.fromEntries<JsonObject | null>);
}

const nodes = membersOf(
  NODE_IDS,
  (id) => fc.record({ id: fc.constant(id), position: point, data: plain }),
  fc.oneof(
    point.map((position) => ({ position })),
    mergePatch.map((data) => ({ data })),
  ),
);

const edges = membersOf(
  EDGE_IDS,
  (id) =>
    fc.record({
      id: fc.constant(id),
      source: fc.constantFrom(...NODE_IDS),
      target: fc.constantFrom(...NODE_IDS),
    }),
  fc.oneof(
    fc.constantFrom(...NODE_IDS).map((target) => ({ target })),
    scalar.map((label) => ({ label })),
  ),
);

/** A patch of a flow's document, such as people make. */
export const flowPatch: fc.Arbitrary<JsonObject> = fc.oneof(
  { weight: 4, arbitrary: nodes.map((members) => ({ nodes: members })) },
  { weight: 3, arbitrary: edges.map((members) => ({ edges: members })) },
  { weight: 1, arbitrary: fc.record({ nodes, edges }) },
  { weight: 1, arbitrary: fc.constantFrom("A", "B").map((title) => ({ title })) },
  { weight: 1, arbitrary: mergePatch.map((data) => ({ data })) },
);

/** A document, as some patches have made it. */
export const flowDocument: fc.Arbitrary<FlowDocument> = fc
  .array(flowPatch, { maxLength: 12 })
  .map((patches) =>
    patches.reduce<FlowDocument>(
      (document, patch) => apply(document, stage(document, patch)),
      emptyDocument(),
    ),
  );

/** Numbers from 0 up to, not including, 1, the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
