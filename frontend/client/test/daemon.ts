/** Three people against a real daemon, which somebody kills meanwhile: tests/stock_clients/test_flow_sync.py. */

import fc from "fast-check";
import { expect, test } from "vitest";

import { FlowSync } from "../src/sync/sync";
import type { FlowDocument, FlowEntry } from "../src/types";
import { flowPatch } from "./given";

const { HELIX_URL: url = "", HELIX_FLOW: flowId = "", HELIX_SEED: seed = "0" } = process.env;

const EDITS = 400;

function pass(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function read<T>(path: string): Promise<T> {
  const response = await fetch(`${url}/api/flows/${flowId}${path}`);
  expect(response.status).toBe(200);
  return (await response.json()) as T;
}

test("jsc2 jsc3 three people end with the daemon's document, each change in its log once", async () => {
  const people = ["Ada", "Ben", "Eve"].map(
    (name) => new FlowSync(flowId, { url, user: { name }, keeper: null }),
  );
  people.forEach((person) => {
    person.start();
  });
  const patches = fc.sample(flowPatch, { seed: Number(seed), numRuns: EDITS });
  for (const [n, patch] of patches.entries()) {
    const person = people[n % people.length];
    if (n % 10 === 9) {
      person?.undo();
    } else if (n % 3 === 0) {
      person?.gather("text", patch, { wait: 20 });
    } else {
      person?.patch(patch);
    }
    person?.setCursor({ x: n, y: n });
    await pass(5);
  }
  const isSettled = (): boolean =>
    people.every(
      ({ state }) => state.status.kind === "saved" && state.version === people[0]?.state.version,
    );
  await expect.poll(isSettled, { timeout: 60_000, interval: 50 }).toBe(true);

  const { document, version } = await read<{ document: FlowDocument; version: number }>("");
  for (const { state } of people) {
    expect(state.refusals).toEqual([]);
    expect(state.version).toBe(version);
    expect(state.document).toEqual(document);
  }
  const names: string[] = [];
  while (names.length < version) {
    const { entries } = await read<{ entries: FlowEntry[] }>(`/entries?after=${names.length}`);
    expect(entries.length).toBeGreaterThan(0);
    names.push(...entries.map(({ client_id, op_id }) => `${client_id ?? ""}:${op_id ?? ""}`));
  }
  expect(new Set(names).size).toBe(version);
  expect(version).toBeGreaterThan(EDITS / 4);
  people.forEach((person) => {
    person.stop();
  });
}, 100_000);
