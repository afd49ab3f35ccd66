// @vitest-environment jsdom
import { act } from "react";
import { afterEach, describe, expect, it, vi } from "vitest";

import { node } from "../../../../client/test/desk";
import { rootsOfTests } from "../../../../client/test/roots";
import { MOST_DEEP } from "../../../src/flow/canvas/chains";
import { drag, nodeIn, openPage } from "../../page";

const roots = rootsOfTests();

afterEach(() => {
  vi.restoreAllMocks();
});

const COUNT = 2 * MOST_DEEP;

/** Groups in groups, each one unit to the right of the one around it, and smaller. */
const groups = Object.fromEntries(
  Array.from({ length: COUNT }, (_, n) => {
    const size = { width: 5_000 - 3 * n, height: 4_000 - 3 * n };
    return [`n${n}`, node(`n${n}`, { position: { x: n === 0 ? 0 : 1, y: 0 }, ...size, ...(n === 0 ? {} : { parentId: `n${n - 1}` }) })];
  }),
);

describe("edi57 a drag in a long chain of groups", () => {
  it.each([7, MOST_DEEP, MOST_DEEP + 1, COUNT - 1])("moves group %i with all that is in it, and nothing else", async (n) => {
    const opened = await openPage(roots, { nodes: groups });
    await drag(opened, `n${n}`, 80);
    const moved = Object.values(opened.desk.server.document.nodes).filter(({ id, position }) => position.x !== (id === "n0" ? 0 : 1));
    expect(moved.map(({ id, parentId }) => [id, parentId])).toEqual([[`n${n}`, `n${n - 1}`]]);
    const by = (moved[0]?.position.x ?? 0) - 1;
    expect(Math.abs(by * 0.55 - 60)).toBeLessThan(30);
    for (const inner of [COUNT - 1, n - 1]) {
      expect(nodeIn(opened.page, `n${inner}`).style.transform).toContain(`translate(${inner >= n ? inner + by : inner}px`);
    }
  });

  it("moves the outermost of those that are selected, and no other once more", async () => {
    const opened = await openPage(roots, { nodes: groups });
    await act(async () => {
      document.dispatchEvent(new KeyboardEvent("keydown", { key: "a", code: "KeyA", ctrlKey: true, bubbles: true }));
      await opened.desk.pass(50);
    });
    await drag(opened, "n7", 80);
    const moved = Object.values(opened.desk.server.document.nodes).filter(({ id, position }) => position.x !== (id === "n0" ? 0 : 1));
    expect(moved.map(({ id }) => id)).toEqual(["n0"]);
  });
});
