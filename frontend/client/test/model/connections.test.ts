import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { connecting, connectionId, type Ends, reconnecting } from "../../src/model/connections";
import { apply, emptyDocument, stage } from "../../src/model/document";
import type { FlowDocument, JsonObject } from "../../src/types";
import { node } from "../desk";

const part = fc.string({ unit: fc.constantFrom("a", "b", ":", "\\", "/", "-"), maxLength: 4 });
const ends: fc.Arbitrary<Ends> = fc.record({ source: part, sourceHandle: part, target: part, targetHandle: part });

/** A flow of nodes a, b, c. */
function flow(...patches: JsonObject[]): FlowDocument {
  const nodes = Object.fromEntries(["a", "b", "c"].map((id) => [id, node(id)]));
  return patches.reduce<FlowDocument>(edited, edited(emptyDocument(), { nodes }));
}

function edited(document: FlowDocument, patch: JsonObject): FlowDocument {
  return apply(document, stage(document, patch));
}

const AB = { source: "a", target: "b" };
const AC = { source: "a", target: "c" };

function joined({ edges }: FlowDocument): string[] {
  return Object.values(edges).map(({ source, target }) => `${source}>${target}`).sort();
}

describe("JSC30", () => {
  test("jsc30 no two connections have the same id, and an id is short enough", () => {
    fc.assert(
      fc.property(ends, ends, (one, other) => {
        const isSame = JSON.stringify(Object.values(one)) === JSON.stringify(Object.values(other));
        expect(connectionId(one) === connectionId(other)).toBe(isSame);
        expect(connectionId(one, 2)).not.toBe(connectionId(other));
      }),
    );
    const long = { source: "é".repeat(120), target: "b".repeat(255) };
    expect(connectionId(long)).toHaveLength(48);
    expect(connectionId(long)).not.toBe(connectionId({ ...long, target: "c".repeat(255) }));
    expect(connectionId(AB)).toBe(connectionId({ ...AB, sourceHandle: null, targetHandle: "" }));
  });

  test("jsc30 what is connected is connected once, by one or by two at once", () => {
    const before = flow();
    const patch = connecting(before.edges, [AB, AB, { ...AB, sourceHandle: "top" }]);
    const once = edited(before, patch);
    expect(joined(once)).toEqual(["a>b", "a>b"]);
    expect(connecting(once.edges, [AB])).toEqual({ edges: {} });
    expect(edited(once, connecting(before.edges, [AB]))).toEqual(once);
  });

  test("jsc30 an edge that is led elsewhere is not taken by who connects its old ends", () => {
    const one = flow(connecting({}, [AB]));
    const [id = ""] = Object.keys(one.edges);
    const led = edited(one, reconnecting(one.edges, id, AC)?.patch ?? {});
    expect(joined(edited(led, connecting(led.edges, [AB])))).toEqual(["a>b", "a>c"]);
    // As other programs lead it elsewhere, and as somebody connects who hasn't seen it.
    const byHand = edited(one, { edges: { [id]: { target: "c" } } });
    expect(joined(edited(byHand, connecting(byHand.edges, [AB])))).toEqual(["a>b", "a>c"]);
    expect(joined(edited(led, connecting({}, [AB])))).toEqual(["a>b", "a>c"]);
  });

  test("jsc30 what an edge has stays with it, and one that had a name of its own keeps it", () => {
    const label = { label: "yes", sourceHandle: "top" };
    const one = flow(connecting({}, [{ ...AB, sourceHandle: "top" }], { label: "yes" }));
    const [id = ""] = Object.keys(one.edges);
    const led = reconnecting(one.edges, id, { ...AC, sourceHandle: "top" });
    expect(Object.values(edited(one, led?.patch ?? {}).edges)).toEqual([{ id: led?.id, ...AC, ...label }]);
    const named = flow({ edges: { e: { id: "e", ...AB, ...label } } });
    const other = edited(named, reconnecting(named.edges, "e", AC)?.patch ?? {});
    expect(Object.values(other.edges)).toEqual([{ id: "e", ...AC, label: "yes" }]);
    expect(reconnecting(named.edges, "e", { ...AB, sourceHandle: "top" })).toBeNull();
    expect(reconnecting(named.edges, "gone", AC)).toBeNull();
  });

  test("jsc30 two that are led to the same ends stay two", () => {
    const one = flow(connecting({}, [AB, AC]));
    const [first = ""] = Object.keys(one.edges);
    expect(joined(edited(one, reconnecting(one.edges, first, AC)?.patch ?? {}))).toEqual(["a>c", "a>c"]);
  });
});
