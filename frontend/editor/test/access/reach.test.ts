import { emptyDocument, type FlowDocument } from "helix-flows";
import { expect, test } from "vitest";

import { mayConnect, mayReconnect, mayRestore, reachOf } from "../../src/flow/reach";

const node = (id: string, type: string) => ({ id, type, position: { x: 0, y: 0 }, data: {} });
const NOW: FlowDocument = {
  ...emptyDocument(),
  nodes: { a: node("a", "agent"), b: node("b", "skill") },
  edges: { e: { id: "e", source: "a", target: "b" } },
};

test.each([
  [null, true, true],
  [["/edges/*"], true, true],
  [["/edges/*/target", "/edges/*/source"], false, true],
  [["/edges/*/target"], false, false],
  [["/nodes/**"], false, false],
])("acc203 edges within %j: drawn %s, led elsewhere %s", (paths, drawn, led) => {
  const reach = reachOf(paths, NOW);
  expect([mayConnect(reach), mayReconnect(reach, "e")]).toEqual([drawn, led]);
});

test("acc203 only a version from which nothing else differs can be restored", () => {
  const moved = { ...NOW, nodes: { ...NOW.nodes, a: { ...node("a", "agent"), position: { x: 8, y: 0 } } } };
  const paths = ["/nodes/*[type=agent]/position"];
  expect(mayRestore(paths, NOW, moved)).toBe(true);
  expect(mayRestore(paths, NOW, { ...moved, title: "Another" })).toBe(false);
  expect(mayRestore(paths, NOW, { ...NOW, nodes: { b: node("b", "skill") }, edges: {} })).toBe(false);
  expect(mayRestore(null, NOW, { ...moved, title: "Another" })).toBe(true);
});
