// @vitest-environment jsdom
import type { Node } from "@xyflow/react";
import { act, useState } from "react";
import { afterEach, expect, it, vi } from "vitest";

import { rootsOfTests } from "../../../../client/test/roots";
import { Finds } from "../../../src/flow/commands/Finds";
import { show, standIn } from "../../page";

const roots = rootsOfTests();

afterEach(() => {
  vi.restoreAllMocks();
});

it("EDI64: nodes are looked through again if they change, not whenever a pointer moves", () => {
  standIn();
  let reads = 0;
  const counted = (label: string): Node["data"] => new Proxy({ label }, {
    ownKeys: (target) => {
      reads += 1;
      return Reflect.ownKeys(target);
    },
  });
  const nodes: Node[] = ["Ant", "Bee"].map((label) => ({ id: label, position: { x: 0, y: 0 }, data: counted(label) }));
  let again: (next: readonly Node[]) => void = () => undefined;
  const revealed: string[] = [];
  const Page = () => {
    const [given, setGiven] = useState<{ nodes: readonly Node[] }>({ nodes });
    again = (next) => { setGiven({ nodes: next }); };
    return <Finds nodes={given.nodes} onReveal={(id) => { revealed.push(id); }} onClose={() => undefined} />;
  };
  const page = show(roots, <Page />);
  const first = reads;
  expect(first).toBe(2);
  for (let n = 0; n < 5; n += 1) {
    act(() => { again(nodes); });
  }
  expect(reads).toBe(first);
  act(() => { again(nodes.slice(1)); });
  expect(reads).toBe(first + 1);
  const options = page.querySelectorAll<HTMLElement>("[role=option]");
  expect([...options].map(({ textContent }) => textContent)).toEqual(["BeeNode"]);
  act(() => { options[0]?.click(); });
  expect(revealed).toEqual(["Bee"]);
});
