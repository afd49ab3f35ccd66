/** What is looked for on home. */

import { describe, expect, it } from "vitest";

import { AGES, choiceIn, type Filter, readQuery, SIZES, withChoice } from "../../src/home/query";

const DAY = 86_400;

describe("EDI5: flows are found by counts and age", () => {
  it.each<[string, Filter]>([
    ["nodes:>10", { min_nodes: 11 }],
    ["nodes:>=10", { min_nodes: 10 }],
    ["nodes:<5", { max_nodes: 4 }],
    ["nodes:<=5", { max_nodes: 5 }],
    ["nodes:5", { min_nodes: 5, max_nodes: 5 }],
    ["nodes:=5", { min_nodes: 5, max_nodes: 5 }],
    ["NODES:2..7", { min_nodes: 2, max_nodes: 7 }],
    ["edges:<5", { max_edges: 4 }],
    ["edges:0", { min_edges: 0, max_edges: 0 }],
    ["updated:<7d", { changed_within: 7 * DAY }],
    ["updated:7d", { changed_within: 7 * DAY }],
    ["updated:>2w", { unchanged_for: 14 * DAY }],
    ["older:30d", { unchanged_for: 30 * DAY }],
    ["newer:24h", { changed_within: DAY }],
    ["age:>1y", { unchanged_for: 365 * DAY }],
    ["nodes:>10 edges:<5 older:1m", { min_nodes: 11, max_edges: 4, unchanged_for: 30 * DAY }],
  ])("reads %s", (typed, filter) => {
    expect(readQuery(typed)).toEqual({ words: "", filter });
  });

  it("finds nothing for fewer than none", () => {
    const { min_nodes: least = 0, max_nodes: most = 0 } = readQuery("nodes:<0").filter;
    expect(least).toBeGreaterThan(most);
  });

  it.each(["nodes:", "nodes:many", "nodes:>-1", "updated:soon", "older:30", "http://nodes:5x", "nodes:12345678901"])("takes %s for a word", (typed) => {
    expect(readQuery(`  ${typed}  orders`)).toEqual({ words: `${typed} orders`, filter: {} });
  });

  it("puts a choice in place of what says the same, and tells which is chosen", () => {
    expect(withChoice("orders nodes:5 older:1y", "nodes", "nodes:>50")).toBe("orders older:1y nodes:>50");
    expect(withChoice("orders nodes:5", "nodes", "")).toBe("orders");
    expect(withChoice("", "age", "older:30d")).toBe("older:30d");
    for (const [what, choices] of [["nodes", SIZES], ["age", AGES]] as const) {
      for (const { typed } of choices) {
        expect(choiceIn(withChoice("orders", what, typed), what, choices)).toBe(typed);
      }
      expect(choiceIn("nodes:7 older:9d", what, choices)).toBeNull();
    }
  });
});
