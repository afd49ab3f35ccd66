import { describe, expect, test } from "vitest";

import { Elements } from "../../src/react/elements";
import { FlowView } from "../../src/react/view";
import type { FlowDocument, FlowNode, Moving } from "../../src/types";

const COUNT = 2_000;

function flow(count = COUNT): FlowDocument {
  const nodes = Array.from({ length: count }, (_, n): FlowNode => ({ id: `n${n}`, position: { x: n, y: 0 }, data: {} }));
  const edges = nodes.slice(1).map(({ id }, n) => ({ id: `e${id}`, source: `n${n}`, target: id }));
  return {
    title: "", description: "", viewport: { x: 0, y: 0, zoom: 1 }, data: {},
    nodes: Object.fromEntries(nodes.map((node) => [node.id, node])),
    edges: Object.fromEntries(edges.map((edge) => [edge.id, edge])),
  };
}

describe("what React Flow is given while one drags", () => {
  test("jsc46 costs by what is dragged: nothing else is made or put in order again", () => {
    let made = 0;
    let ordered = 0;
    const elements = new Elements<FlowNode, FlowNode>({
      sanitize: (node) => { made += 1; return node; },
      shownAs: ({ x, y }: Moving) => ({ position: { x, y } }),
      ordered: (ids) => { ordered += 1; return ids; },
    });
    const members = Object.entries(flow().nodes);
    elements.take(members, new Map());
    expect([made, ordered, elements.list.length]).toEqual([COUNT, 1, COUNT]);
    for (let step = 1; step <= 10; step += 1) {
      elements.take(members, new Map([["n7", { dragging: true, position: { x: step, y: 0 } }]]), new Map([["n9", { x: step, y: 1 }]]));
      expect([made, ordered]).toEqual([COUNT + 2 * step, 1]);
    }
    expect(elements.list[7]).toMatchObject({ dragging: true, position: { x: 10, y: 0 } });
    elements.take(members, new Map());
    expect(elements.list).toEqual(members.map(([, node]) => node));
    expect(made).toBe(COUNT + 22);
  });

  test("jsc46 is in the same list as long as nothing is another", () => {
    const view = new FlowView({ node: (node) => node, edge: (edge) => edge });
    const document = flow(20);
    const personal = new Map([["n3", { selected: true }]]);
    view.show(document, personal, new Map(), new Map());
    const { nodes, edges } = view;
    view.show({ ...document, title: "another" }, personal, new Map(), new Map());
    expect(view.nodes).toBe(nodes);
    expect(view.edges).toBe(edges);
    view.show(document, personal, new Map([["en4", { selected: true }]]), new Map());
    expect(view.nodes).toBe(nodes);
    expect(view.edges.map((edge, n) => edge === edges[n]).indexOf(false)).toBe(3);
  });

  test("jsc46 is as the document says again where that has changed meanwhile", () => {
    const view = new FlowView({ node: (node) => node, edge: (edge) => edge });
    const document = flow(5);
    view.show(document, new Map([["n3", { position: { x: 9, y: 9 } }]]), new Map(), new Map());
    const nodes = Object.fromEntries(Object.entries(document.nodes).filter(([id]) => id !== "n2"));
    view.show({ ...document, nodes: { ...nodes, a: { id: "a", position: { x: 0, y: 0 }, data: {} } } }, new Map(), new Map(), new Map());
    expect(view.nodes.map(({ id, position }) => [id, position.x])).toEqual([["a", 0], ["n0", 0], ["n1", 1], ["n3", 3], ["n4", 4]]);
    view.show({ ...document, nodes }, new Map([["n4", { selected: true }], ["n2", { selected: true }]]), new Map(), new Map());
    expect(view.nodes.map(({ id, selected }) => [id, selected])).toEqual([["n0", undefined], ["n1", undefined], ["n3", undefined], ["n4", true]]);
  });
});
