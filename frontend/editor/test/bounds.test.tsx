// @vitest-environment jsdom
/** Whatever is in a document, and whatever members say, takes bounded work and room in a page. */

import { emptyDocument, type FlowDocument, type FlowNode, type JsonObject, type Member, type SyncedFlow } from "helix-flows";
import { flushSync } from "react-dom";
import { createRoot } from "react-dom/client";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it, vi } from "vitest";

import { copyPatch } from "../../client/src/model/telling";
import { arrangementOf } from "../src/flow/canvas/arrangement";
import { elementsOf, shownEdges } from "../src/flow/canvas/elements";
import { read } from "../src/flow/panels/readings";
import { MOST_SELECTED, MOST_SELECTING, selectingIn } from "../src/flow/people/people";
import { MOST } from "../src/home/seen";
import { fieldLabel, kindOf, labelOf, shortOf } from "../src/kinds";
import { AsJson } from "../src/ui/AsJson";

vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => undefined }));
const { scaleOf } = await import("../src/flow/canvas/FarPicture");
const { NodeFields } = await import("../src/flow/panels/NodeFields");
const { Miniature } = await import("../src/home/Miniature");

const MANY = 20_000;

function nodeOf(id: string, data: JsonObject = {}): FlowNode {
  return { id, position: { x: 0, y: 0 }, data };
}

/** Make a document of nodes a and b, and so many edges from one to the other. */
function joined(count: number, label: unknown = "A"): FlowDocument {
  const edges = Array.from({ length: count }, (_, n) => ({ id: `e${n}`, source: "a", target: "b" }));
  return { ...emptyDocument(), nodes: { a: nodeOf("a", { label }), b: nodeOf("b", { label }) }, edges: Object.fromEntries(edges.map((edge) => [edge.id, edge])) };
}

describe("EDI64: long labels", () => {
  it("are shown by their beginning", () => {
    expect(shortOf("short")).toBe("short");
    expect(labelOf({ data: { label: "x".repeat(1_000_000) } })).toBe(`${"x".repeat(299)}…`);
    expect(shortOf(`x${"\u{1f600}".repeat(500)}`)).toBe(`x${"\u{1f600}".repeat(149)}…`);
  });

  it.each([["a text", "x".repeat(3_000_000)], ["a list", Array.from({ length: 300_000 }, () => 5)]])("are no part of the name of each edge, nor written for each: %s", (_, label) => {
    const document = joined(MANY, label);
    const before = performance.now();
    const shown = shownEdges(elementsOf(document).edges, document);
    expect(performance.now() - before).toBeLessThan(2_500);
    expect(Math.max(shown[0]?.ariaLabel?.length ?? 0, shown.at(-1)?.ariaLabel?.length ?? 0)).toBeLessThan(700);
  });
});

describe("EDI60: a card of two nodes and 20,000 edges", () => {
  it("draws some of these", () => {
    expect(renderToStaticMarkup(<Miniature document={joined(MANY)} />).split("<path").length - 1).toBe(MOST);
    expect(renderToStaticMarkup(<Miniature document={joined(MOST)} />).split("<path").length - 1).toBe(MOST);
  });
});

describe("EDI64: the picture from afar", () => {
  it("is smaller where nodes lie above each other in thousands", () => {
    const large = Array.from({ length: MANY }, (_, n) => ({ ...nodeOf(`n${n}`), width: 32_000, height: 32_000 }));
    expect(scaleOf(arrangementOf(large), { x: 0, y: 0, width: 32_000, height: 32_000 }) * 32_000).toBeLessThan(300);
    const usual = Array.from({ length: 5_000 }, (_, n) => ({ ...nodeOf(`n${n}`), position: { x: 300 * (n % 70), y: 100 * Math.floor(n / 70) } }));
    expect(scaleOf(arrangementOf(usual), { x: 0, y: 0, width: 21_000, height: 7_200 })).toBe(0.25);
    expect(scaleOf(arrangementOf([{ ...nodeOf("n"), width: Number.NaN }]), { x: 0, y: 0, width: 1e300, height: 1 })).toBeGreaterThan(0);
  });
});

describe("EDI64: the properties", () => {
  const [skill, agent] = [kindOf("skill"), kindOf("agent")];
  const links = agent.fields.find(({ form }) => form === "links");
  const sync = (document: FlowDocument): SyncedFlow => ({ state: { document } }) as Partial<SyncedFlow> as SyncedFlow;
  const fieldsOf = (node: FlowNode, others: FlowDocument["nodes"] = {}): string =>
    renderToStaticMarkup(<NodeFields sync={sync({ ...emptyDocument(), nodes: { ...others, [node.id]: node } })} nodes={[node]} members={[]} />);

  it("show a hundred fields that no kind has, and the rest as JSON", () => {
    const html = fieldsOf(nodeOf("n", Object.fromEntries(Array.from({ length: 30_000 }, (_, n) => [`k${n}`, n]))));
    expect(html).toContain("k99<");
    expect(html).not.toContain("k100<");
    expect(html).toContain("29900 more fields can");
    expect(html.split("<details class=\"as-json\"")).toHaveLength(2);
  });

  it("don't edit what is longer than any change", () => {
    const html = fieldsOf(nodeOf("n", { description: "x".repeat(400_000), more: Array.from({ length: 400_000 }, () => 1) }));
    expect(html.length).toBeLessThan(100_000);
    expect(html.split("too long to be edited here")).toHaveLength(3);
    expect(fieldsOf(nodeOf("n", { description: "x".repeat(200_000) })).length).toBeGreaterThan(200_000);
  });

  it("list some of the links that lead nowhere, each once", () => {
    expect([links?.form, skill.type]).toEqual(["links", "skill"]);
    const list = Array.from({ length: 60_000 }, (_, n) => `gone ${n % 30_000}`);
    const html = fieldsOf({ ...nodeOf("n", { [links?.name ?? ""]: list }), type: "agent" });
    expect(html.split("Not in this flow")).toHaveLength(101);
    expect(html).toContain("29900 more that are not in this flow");
  });

  it("offer some of very many nodes to link to, the chosen ones first", () => {
    const nodes = Object.fromEntries(Array.from({ length: 3_000 }, (_, n) => [`s${n}`, { ...nodeOf(`s${n}`, { label: `Skill ${n}` }), type: links?.kinds?.[0] ?? "" }]));
    const html = fieldsOf({ ...nodeOf("n", { [links?.name ?? ""]: ["s2999"] }), type: "agent" }, nodes);
    expect(html).toContain("Skill 2999<");
    expect(html.split("type=\"checkbox\" checked")).toHaveLength(2);
    expect(html).toContain("2500 more can");
  });

  it("show the beginning of a field's long name", () => {
    const html = fieldsOf(nodeOf("n", { ["x".repeat(1_000_000)]: 5 }));
    expect(html.length).toBeLessThan(100_000);
    expect(fieldLabel("y".repeat(1_000_000))).toHaveLength(300);
  });

  it("write what is long as JSON without indenting it", () => {
    const [short, long] = [[5], Array.from({ length: 200_000 }, () => 5)].map((value) => {
      const page = document.createElement("div");
      const root = createRoot(page);
      flushSync(() => { root.render(<AsJson value={value} />); });
      flushSync(() => {
        const details = page.querySelector("details") as HTMLDetailsElement;
        details.open = true;
        details.dispatchEvent(new Event("toggle"));
      });
      return page.querySelector("pre")?.textContent ?? "";
    });
    expect(short).toBe("[\n  5\n]");
    expect(long).toBe(`[${"5,".repeat(50_000)}`.slice(0, 100_000).concat("…"));
  });

  it.each([[27, true], [28, true], [29, false], [50_000, false]])("take JSON that nests %d deep as a document takes it", (depth, isFitting) => {
    const text = `${"[".repeat(depth)}${"]".repeat(depth)}`;
    const reading = read({ name: "x", label: "x", form: "json" }, text, undefined);
    expect("value" in reading).toBe(isFitting);
    const change = (): unknown => copyPatch({ nodes: { n: { data: { x: JSON.parse(text) as unknown } } } });
    if (isFitting) {
      expect(change()).toBeDefined();
    } else {
      expect(change).toThrow("nests deeper");
      expect(reading).toEqual({ fault: "Lists and objects can't nest deeper than 28" });
    }
  });
});

describe("EDI64: what others have selected", () => {
  const member = (n: number, selection: string[]): Member => ({ clientId: `c${n}`, key: `k${n}`, name: "Eve", color: "#123456", isSelf: false, meta: { selection } });

  it("is shown at some elements of the flow, with some people at each", () => {
    const crowd = Array.from({ length: 1_000 }, (_, n) => member(n, Array.from({ length: 300 }, (__, i) => `n${n + i}`)));
    const selecting = selectingIn(crowd, () => true);
    expect(selecting.size).toBe(MOST_SELECTED);
    expect(Math.max(...Array.from(selecting.values(), ({ length }) => length))).toBe(MOST_SELECTING);
  });

  it("is nothing that isn't there", () => {
    const selecting = selectingIn([member(1, ["a", "toString", "a"]), member(2, ["a"])], (id) => id === "a");
    expect([...selecting].map(([id, people]) => [id, people.map(({ clientId }) => clientId)])).toEqual([["a", ["c1", "c2"]]]);
  });
});
