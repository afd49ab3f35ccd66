// @vitest-environment jsdom
/** What stands in for an edge that can't be drawn. */

import { type EdgeProps, Position } from "@xyflow/react";
import { act } from "react";
import { createRoot } from "react-dom/client";
import { afterEach, expect, it, vi } from "vitest";

import { FlowEdge, LANE } from "../../../src/flow/canvas/FlowEdge";

const PROPS: EdgeProps = {
  id: "e",
  source: "a",
  target: "b",
  sourceX: 10,
  sourceY: 20,
  targetX: 30,
  targetY: 40,
  sourcePosition: Position.Right,
  targetPosition: Position.Left,
};

afterEach(() => {
  vi.unstubAllGlobals();
});

/** Draw an edge whose lane can't be read, and give its path. */
function pathOf(props: Partial<EdgeProps>): { path: string | null | undefined; told: unknown[] } {
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
  const told: unknown[] = [];
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const root = createRoot(svg, { onCaughtError: (error) => told.push(error) });
  const data = Object.defineProperty({}, LANE, { get() { throw new Error("no lane"); } });
  act(() => {
    root.render(<FlowEdge {...PROPS} {...props} data={data} />);
  });
  const path = svg.querySelector("path.broken")?.getAttribute("d");
  act(() => {
    root.unmount();
  });
  return { path, told };
}

it("EDI62: an edge that can't be drawn is a line from end to end", () => {
  const { path, told } = pathOf({});
  expect(path).toBe("M10 20L30 40");
  expect(told).toEqual([new Error("no lane")]);
});

it("EDI62: it is nothing where its ends are nowhere", () => {
  expect(pathOf({ targetX: NaN }).path).toBeUndefined();
});
