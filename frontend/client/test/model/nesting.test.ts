import { readFileSync } from "node:fs";
import { resolve } from "node:path";

import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { apply, compareIds, emptyDocument, stage } from "../../src/model/document";
import { inverse } from "../../src/model/mergepatch";
import { isConcerned, strays } from "../../src/model/nesting";
import { undoing, untouched } from "../../src/model/undoing";
import type { FlowDocument, FlowNode, JsonObject } from "../../src/types";

interface Case {
  name: string;
  nodes: Record<string, FlowNode>;
  patch: JsonObject;
  effective: JsonObject;
}

// What the server makes of each (tests/support/nestingcases.py).
const CASES = JSON.parse(
  readFileSync(resolve(import.meta.dirname, "../../../../tests/support/nestingcases.json"), "utf8"),
) as Case[];

function documentOf(nodes: Record<string, FlowNode>): FlowDocument {
  return { ...emptyDocument(), nodes };
}

describe("groups", () => {
  test.each(CASES)("grp2 to grp5 as the server has it: $name", ({ nodes, patch, effective }) => {
    const document = documentOf(nodes);
    const before = structuredClone({ document, patch });
    expect(stage(document, { nodes: patch })["nodes"] ?? {}).toEqual(effective);
    expect({ document, patch }).toEqual(before);
  });

  test("grp1 no patch leads to a parent that can't be", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...CASES), { maxLength: 6 }), (cases) => {
        let document = emptyDocument();
        for (const { patch } of cases) {
          const effective = stage(document, { nodes: patch });
          expect(stage(document, effective)).toEqual(effective);
          document = apply(document, effective);
          expect(strays(document.nodes).size).toBe(0);
        }
      }),
    );
  });

  const chain = Array.from({ length: 20_000 }, (_, n) => ({
    id: `n${n}`,
    position: { x: 1, y: 0 },
    data: {},
    ...(n === 0 ? {} : { parentId: `n${n - 1}` }),
  }));
  const document = documentOf(Object.fromEntries(chain.map((node) => [node.id, node])));

  // Each node was once followed to the outermost.
  test("jsc45 all of a chain of twenty thousand are changed at once", () => {
    const nodes = Object.fromEntries(chain.map(({ id }) => [id, { draggable: false }]));
    expect(stage(document, { nodes })).toEqual({ nodes });
    expect(isConcerned(document.nodes, nodes)).toBe(false);
    expect(isConcerned({ ...document.nodes, n0: { ...document.nodes["n0"], parentId: "n9" } as never }, nodes)).toBe(true);
  });

  test("grp1 a chain of twenty thousand is read and freed", () => {
    const nodes = { n0: { parentId: "n19999" }, n9999: null };
    expect(stage(document, { nodes })["nodes"]).toEqual({
      n0: { parentId: "n19999" },
      n9999: null,
      n10000: { parentId: null, position: { x: 10_001 } },
    });
  });
});

describe("undoing what becomes of groups", () => {
  const document = documentOf({
    c: { id: "c", position: { x: 1, y: 2 }, data: {}, parentId: "g", extent: "parent" },
    g: { id: "g", position: { x: 100, y: 100 }, data: {} },
  });
  const effective = stage(document, { nodes: { g: null } });
  const after = apply(document, effective);
  const change = { durableAt: 1, effective, inverse: inverse(document, effective) };

  test("jsc10 grp4 a deletion is taken back with where all was", () => {
    expect(after.nodes).toEqual({ c: { id: "c", position: { x: 101, y: 102 }, data: {} } });
    const patch = undoing(after, [change]);
    expect(apply(after, stage(after, patch))).toEqual(document);
  });

  test("jsc10 grp3 what somebody has moved since stays there, in what they saw it in", () => {
    const move = { nodes: { c: { position: { x: 9 } } } };
    const moved = apply(after, move);
    const left = { ...change, inverse: untouched(change.inverse, move) };
    const undone = apply(moved, stage(moved, undoing(moved, [left])));
    expect(undone.nodes["g"]).toEqual(document.nodes["g"]);
    expect(undone.nodes["c"]).toMatchObject({ position: { x: 9, y: 102 } });
    expect(undone.nodes["c"]).not.toHaveProperty("parentId");
  });

  test("jsc10 grp3 the undo of a move says what it is relative to", () => {
    const move = { nodes: { c: { position: { x: 9 } } } };
    const moved = apply(document, move);
    const back = { durableAt: 1, effective: move, inverse: inverse(document, move) };
    expect(undoing(moved, [back])).toEqual({
      nodes: { c: { position: { x: 1 }, parentId: "g" } },
    });
  });
});

describe("the order of nodes", () => {
  const ids = ["z", "m", "b", "\uFFFD", "\u{1F600}", "é", "a", "ab"];

  test("doc12 nodes and edges are in the order of their ids, whatever came first", () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(ids), fc.constantFrom("nodes", "edges"), (some, members) => {
        let document = documentOf({});
        for (const id of [...some, ...some]) {
          document = apply(document, { [members]: { [id]: { id, data: {} } } });
          document = apply(document, { [members]: { [some[0] ?? ""]: null } });
          document = apply(document, { [members]: { [some[0] ?? ""]: { id: some[0], data: {} } } });
        }
        const sorted = some.toSorted((a, b) =>
          Buffer.compare(Buffer.from(a), Buffer.from(b)),
        );
        expect(Object.keys(document[members as "nodes"])).toEqual(sorted);
        expect(some.toSorted(compareIds)).toEqual(sorted);
      }),
    );
  });
});
