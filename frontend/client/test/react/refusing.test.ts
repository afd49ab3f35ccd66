import { describe, expect, test } from "vitest";

import { Replica } from "../../src/model/replica";
import { Refusing } from "../../src/react/refusing";
import { SendQueue } from "../../src/sync/sendqueue";
import type { FlowError, SyncedFlow } from "../../src/types";

/** More than a call takes as arguments. */
const MANY = 300_000;

describe("of very many", () => {
  test("jsc45 parts that can't be sent, all are counted", () => {
    const refusing = new Refusing();
    refusing.take({ told: {}, untold: Array.from({ length: MANY }, () => ({ path: "/x", problem: "no" })), gaps: [] });
    let told = "";
    refusing.tell({ refuse: ({ reason }: FlowError) => { told = reason; } } as Partial<SyncedFlow> as SyncedFlow);
    expect(told).toBe(`/x: no (and ${MANY - 1} more)`);
  });

  test("jsc45 changes that a page has left, all are taken over", () => {
    const replica = new Replica();
    const own = replica.submit({ clientId: "a", opId: 1, at: 1, patch: {} });
    const left = replica.submitBefore(Array.from({ length: MANY }, (_, n) => ({ clientId: "b", opId: n, at: 1, patch: {} })));
    expect(replica.operations).toHaveLength(MANY + 1);
    expect(replica.operations.at(-1)).toBe(own);
    const [first] = left;
    const queue = new SendQueue();
    queue.add(own);
    queue.replace(own, left);
    expect(queue.take()?.op).toBe(first);
  });
});
