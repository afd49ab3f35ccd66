// @vitest-environment jsdom
/** Whatever a document holds, it is drawn: as a miniature, on the canvas, and as a picture. */

import fc from "fast-check";
import type { FlowDocument, JsonObject, Member } from "helix-flows";
import { emptyDocument } from "helix-flows";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it } from "vitest";

import { edgeFields, INHERITED, nodeFields, ODD, odd } from "../../client/test/oddities";
import { draw } from "../src/drawing";
import { arrangementOf } from "../src/flow/canvas/arrangement";
import { elementsOf, shownEdges, shownNodes } from "../src/flow/canvas/elements";
import { viewOf } from "../src/flow/people/people";
import { Miniature } from "../src/home/Miniature";
import { wordsOf } from "../src/kinds";

const LOOK = { color: () => "#000", icon: () => "", line: () => ({ path: "", x: 0, y: 0 }) };

/** Make a document of nodes a and n, and the edge between them. */
function documentOf(ofNode: JsonObject, ofEdge: JsonObject = {}): FlowDocument {
  const node = { position: { x: 0, y: 0 }, data: {} };
  return {
    ...emptyDocument(),
    nodes: { a: { ...node, id: "a" }, n: { ...node, ...ofNode, id: "n" } },
    edges: { e: { ...ofEdge, id: "e", source: "a", target: "n" } },
  };
}

/** Draw it in all ways, and count what is drawn. */
function drawn(document: FlowDocument): number[] {
  const { nodes, edges } = elementsOf(document);
  const miniature = renderToStaticMarkup(<Miniature document={document} />);
  expect(draw(document, LOOK).svg).not.toContain("NaN");
  expect(Object.values(document.nodes).map(wordsOf)).toHaveLength(2);
  return [shownNodes(arrangementOf(nodes)).length, shownEdges(edges, document).length, miniature.split("<rect").length - 1, miniature.split("<path").length - 1];
}

describe("EDI61: odd documents", () => {
  const data = fc.dictionary(fc.constantFrom("label", "color", "type", "description", "#group", ...INHERITED), odd, { maxKeys: 4, noNullPrototype: true });

  it("are drawn with all that is in them", () => {
    fc.assert(fc.property(nodeFields, edgeFields, data, (ofNode, ofEdge, ofData) => {
      expect(drawn(documentOf({ ...ofNode, data: ofData }, ofEdge))).toEqual([2, 1, 2, 1]);
    }));
  });

  it.each(["n", "nowhere", ...INHERITED])("are drawn where a node is said to lie in “%s”", (parentId) => {
    expect(drawn(documentOf({ parentId }))).toEqual([2, 1, 2, 1]);
    expect(drawn(documentOf({ parentId, type: parentId }))).toEqual([2, 1, 2, 1]);
  });

  it.each(["toString", "hasOwnProperty", "valueOf"])("have nodes that are called “%s”", (id) => {
    const document = documentOf({});
    const { a, n } = document.nodes;
    const named = { ...document, nodes: { a: a as FlowDocument["nodes"][string], [id]: { ...n, id } as FlowDocument["nodes"][string] }, edges: {} };
    expect(drawn(named)).toEqual([2, 0, 2, 0]);
    expect(drawn({ ...named, edges: { [id]: { id, source: id, target: "a" } } })).toEqual([2, 1, 2, 1]);
  });
});

describe("EDI61: the picture of an odd document", () => {
  const text = fc.constantFrom("<script>x</script>", "]]>", "&lt;&amp;&", "\"'><svg onload=x>", "\u0000\u0008\u001f\ufffe", "\ud800", "\udc00x", "\u2028", "<!--", "<![CDATA[", "url(#x)", "javascript:x");
  const label = fc.oneof(text, odd, fc.array(text, { minLength: 1, maxLength: 3 }).map((all) => all.join("")));

  it("is one of shapes and texts alone, whatever is written in it", () => {
    fc.assert(fc.property(nodeFields, edgeFields, label, label, label, fc.record({ backgroundColor: label, border: label, borderColor: label }), (ofNode, ofEdge, title, first, second, style) => {
      const document = documentOf({ ...ofNode, style, data: { label: first, description: second, color: first } }, { ...ofEdge, label: second });
      const { svg } = draw({ ...document, title: typeof title === "string" ? title : "" }, LOOK);
      // A PNG is made of it by its address.
      expect(() => encodeURIComponent(svg)).not.toThrow();
      const picture = new DOMParser().parseFromString(svg, "application/xml");
      const all = [...picture.querySelectorAll("*")];
      expect(all.map(({ tagName }) => tagName).filter((name) => !["svg", "title", "defs", "marker", "path", "rect", "g", "text"].includes(name))).toEqual([]);
      for (const { attributes } of all) {
        for (const { name, value } of attributes) {
          expect(name).not.toMatch(/^on|href|style/i);
          expect(value === "url(#arrow)" || !/url|script|[<>]/i.test(value), `${name}=${value}`).toBe(true);
        }
      }
    }), { numRuns: 500 });
  });
});

describe("EDI61: odd members", () => {
  const member = (meta: JsonObject): Member => ({ clientId: "c", key: "k", name: "Eve", color: "x", isSelf: false, meta });

  it("see nothing that can't be seen", () => {
    for (const x of ODD) {
      const view = viewOf(member({ view: { x, y: 0, width: 5, height: 5 } }));
      expect(view === null || Number.isFinite(view.x)).toBe(true);
      expect(viewOf(member({ view: x }))).toBeNull();
    }
    expect(viewOf(member({ view: { x: 0, y: 0, width: 0, height: 5 } }))).toBeNull();
    expect(viewOf(member({ view: { x: 0, y: 0, width: 5, height: 5 } }))).toEqual({ x: 0, y: 0, width: 5, height: 5 });
  });
});
