/** Undo as several people in a flow have it, whatever they do. */

import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { isObject } from "../../src/model/mergepatch";
import type { FlowSync } from "../../src/sync/sync";
import type { FlowDocument, FlowEntry, JsonObject } from "../../src/types";
import { Desk } from "../desk";
import { flowPatch } from "../given";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.clearAllTimers();
  vi.useRealTimers();
});

const who = fc.nat({ max: 1 });
const happening = fc.oneof(
  { weight: 6, arbitrary: fc.record({ is: fc.constant("patch" as const), who, patch: flowPatch }) },
  { weight: 2, arbitrary: fc.record({ is: fc.constant("gather" as const), who, patch: flowPatch }) },
  { weight: 4, arbitrary: fc.record({ is: fc.constantFrom("undo" as const, "redo" as const), who }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constantFrom("cut" as const, "settle" as const) }) },
  { weight: 3, arbitrary: fc.record({ is: fc.constant("wait" as const), ms: fc.nat({ max: 300 }) }) },
);

/** Somebody has back, at another place, what another person made and took back. */
const regained = [
  { is: "patch" as const, who: 0, patch: creating(0) },
  { is: "undo" as const, who: 0 },
  { is: "patch" as const, who: 1, patch: creating(1) },
  { is: "patch" as const, who: 0, patch: creating(0) },
  { is: "undo" as const, who: 0 },
];

function creating(y: number): JsonObject {
  return { nodes: { n2: { id: "n2", position: { x: 0, y }, data: {} } } };
}

type Path = readonly string[];

/** List what a patch sets or deletes. */
function leaves(patch: JsonObject, path: Path = []): Path[] {
  return Object.entries(patch).flatMap(([name, value]) =>
    isObject(value) && Object.keys(value).length > 0
      ? leaves(value, [...path, name])
      : [[...path, name]],
  );
}

function at(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (within, name) => (isObject(within) && Object.hasOwn(within, name) ? within[name] : undefined),
    value,
  );
}

/** What is at a path; of an object, that there is one: what somebody puts into it is theirs. */
function heldAt(value: unknown, path: Path): unknown {
  const held = at(value, path);
  return isObject(held) ? {} : held;
}

/** List what others wrote last, of all that the log says. */
function theirsIn(log: readonly FlowEntry[], own: string): Path[] {
  const writers = new Map<string, string | null>();
  for (const { patch, client_id } of log) {
    for (const path of leaves(patch).map(nameOf)) {
      for (const before of writers.keys()) {
        if (before.startsWith(path) || path.startsWith(before)) {
          writers.delete(before);
        }
      }
      writers.set(path, client_id);
    }
  }
  return [...writers].filter(([, by]) => by !== own).map(([name]) => name.slice(1, -1).split("/"));
}

/** Write a path so that it begins with those of what it is in; names in tests have no slash. */
function nameOf(path: Path): string {
  return `/${path.join("/")}/`;
}

function shownTo(person: FlowSync): FlowDocument {
  const { document } = person.state;
  if (document === null) {
    throw new Error("nothing is shown");
  }
  return document;
}

/**
 * Undo or redo as somebody, who can exactly where something changes, and nothing that is others'.
 *
 * @param unlogged - those who undid what no log had: to redo that is to do it for the first time, on
 *   top of what others had done before.
 */
function turn(desk: Desk, person: FlowSync, way: "undo" | "redo", unlogged: Set<FlowSync>): void {
  const before = shownTo(person);
  const { canUndo, canRedo, status, version } = person.state;
  const theirs = theirsIn(desk.server.log.slice(0, version), person.clientId);
  const did = person[way]();
  const after = shownTo(person);
  expect(did).toBe(way === "undo" ? canUndo : canRedo);
  if (did) {
    expect(after).not.toEqual(before);
  } else {
    expect(after).toEqual(before);
  }
  const isOnLogged = status.unsent === 0;
  if (way === "undo" && !isOnLogged) {
    unlogged.add(person);
  }
  for (const path of isOnLogged && !(way === "redo" && unlogged.has(person)) ? theirs : []) {
    expect([path, heldAt(after, path)]).toEqual([path, heldAt(before, path)]);
  }
}

async function settle(desk: Desk, people: readonly FlowSync[]): Promise<void> {
  await desk.until(() =>
    people.every(({ state }) => state.status.kind === "saved" && state.version === desk.server.version),
  );
}

test("jsc10 jsc27 who can undo changes something by it, and nothing that others have changed since", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { minLength: 2, maxLength: 40 }), async (happenings) => {
      const desk = new Desk();
      desk.network.delay = () => 20;
      const people = [await desk.join(), await desk.join()];
      const unlogged = new Set<FlowSync>();
      for (const one of happenings) {
        const person = "who" in one ? people[one.who] : undefined;
        if (person !== undefined && "patch" in one) {
          if (one.is === "patch") {
            person.patch(one.patch);
          } else {
            person.gather("text", one.patch);
          }
          if (!person.state.canRedo) {
            unlogged.delete(person);
          }
        } else if (person !== undefined && (one.is === "undo" || one.is === "redo")) {
          turn(desk, person, one.is, unlogged);
        } else if (one.is === "cut") {
          desk.network.cut();
        } else if (one.is === "settle") {
          await settle(desk, people);
        } else if ("ms" in one) {
          await desk.pass(one.ms);
        }
      }
      await settle(desk, people);
      for (const person of people) {
        expect(shownTo(person)).toEqual(desk.server.document);
        for (let n = 0; n < 100 && person.state.canUndo; n += 1) {
          turn(desk, person, "undo", unlogged);
          await settle(desk, people);
        }
        expect(person.state.canUndo).toBe(false);
      }
      people.forEach((person) => {
        person.stop();
      });
      vi.clearAllTimers();
    }),
    { numRuns: 200, examples: [[regained]] },
  );
}, 110_000);

test("jsc10 jsc27 undoing and doing again is as if neither had been, where nobody else is", async () => {
  const waits = fc.constantFrom(0, 5, 60);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(flowPatch, waits), { minLength: 1, maxLength: 8 }),
      fc.array(waits, { minLength: 1, maxLength: 8 }),
      async (patches, turns) => {
        const desk = new Desk();
        desk.network.delay = () => 20;
        const ada = await desk.join();
        for (const [patch, ms] of patches) {
          ada.patch(patch);
          await desk.pass(ms);
        }
        const end = shownTo(ada);
        let count = 0;
        for (const ms of turns) {
          count += ada.undo() ? 1 : 0;
          await desk.pass(ms);
        }
        for (let n = 0; n < count; n += 1) {
          expect(ada.redo()).toBe(true);
        }
        expect(shownTo(ada)).toEqual(end);
        await settle(desk, [ada]);
        expect(desk.server.document).toEqual(end);
        ada.stop();
        vi.clearAllTimers();
      },
    ),
    { numRuns: 200 },
  );
}, 110_000);
