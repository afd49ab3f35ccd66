import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { apply, emptyDocument } from "../src/document";
import { FlowSync } from "../src/sync";
import type { FlowDocument } from "../src/types";
import { flowPatch, seeded } from "./given";
import { Network } from "./network";
import { FlowServer } from "./server";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const who = fc.nat({ max: 2 });

/** What may happen in a flow, one after the other. */
const happening = fc.oneof(
  { weight: 8, arbitrary: fc.record({ is: fc.constant("patch"), who, patch: flowPatch }) },
  { weight: 3, arbitrary: fc.record({ is: fc.constant("gather"), who, patch: flowPatch }) },
  { weight: 2, arbitrary: fc.record({ is: fc.constant("undo"), who }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("redo"), who }) },
  { weight: 2, arbitrary: fc.record({ is: fc.constant("cut"), who }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("crash") }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("reset") }) },
  { weight: 6, arbitrary: fc.record({ is: fc.constant("wait"), ms: fc.nat({ max: 400 }) }) },
);
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

/** Three people and a server, on a network as bad as may be. */
class World {
  readonly network = new Network();
  readonly server = new FlowServer(this.network);
  readonly people: FlowSync[];

  constructor(seed: number) {
    const random = seeded(seed);
    this.network.delay = () => Math.floor(random() * 120);
    this.server.mood = () =>
      random() < 0.1 ? { reason: "The store is away", code: "store_unavailable", retry: true } : null;
    this.people = [0, 1, 2].map(
      () =>
        new FlowSync("demo", {
          url: "http://helix.test",
          keeper: null,
          webSocket: this.network.webSocket,
          random,
        }),
    );
    this.people.forEach((person) => {
      person.start();
    });
  }

  async let(happening: Happening): Promise<void> {
    const person = "who" in happening ? this.people[happening.who] : undefined;
    switch (happening.is) {
      case "patch":
        person?.patch("patch" in happening ? happening.patch : {});
        break;
      case "gather":
        person?.gather("text", "patch" in happening ? happening.patch : {});
        break;
      case "undo":
        person?.undo();
        break;
      case "redo":
        person?.redo();
        break;
      case "cut":
        this.network.cut((n) => "who" in happening && n === happening.who);
        break;
      case "crash":
        this.server.end("phx_error");
        break;
      case "reset":
        this.server.broadcast("reset", {
          epoch: this.server.epoch,
          version: this.server.version,
          document: this.server.document,
        });
        break;
      case "wait":
        await vi.advanceTimersByTimeAsync("ms" in happening ? happening.ms : 0);
        break;
    }
  }

  /** Let the network be a good one, until all is said. */
  async settle(): Promise<void> {
    this.server.mood = () => null;
    this.network.delay = () => 1;
    for (let n = 0; n < 100 && !this.isSettled; n += 1) {
      await vi.advanceTimersByTimeAsync(2000);
    }
  }

  get isSettled(): boolean {
    return this.people.every(
      ({ state }) => state.status.kind === "saved" && state.version === this.server.version,
    );
  }

  stop(): void {
    this.people.forEach((person) => {
      person.stop();
    });
  }
}

test("jsc2 jsc3 replicas converge, and each change is in the log once, whatever happens", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(happening, { minLength: 1, maxLength: 60 }),
      fc.integer(),
      async (happenings, seed) => {
        const world = new World(seed);
        for (const one of happenings) {
          await world.let(one);
        }
        await world.settle();
        const { server, people } = world;
        expect(people.map(({ state }) => state.status.kind)).toEqual(["saved", "saved", "saved"]);
        for (const { state } of people) {
          expect(state.document).toEqual(server.document);
          expect(state.refusals).toEqual([]);
        }
        const replayed = server.log.reduce<FlowDocument>(
          (document, { patch }) => apply(document, patch),
          emptyDocument(),
        );
        expect(replayed).toEqual(server.document);
        const names = server.log.map(({ client_id, op_id }) => `${client_id ?? ""}:${op_id ?? ""}`);
        expect(new Set(names).size).toBe(names.length);
        world.stop();
        await vi.advanceTimersByTimeAsync(60_000);
        vi.clearAllTimers();
      },
    ),
    { numRuns: 400 },
  );
}, 110_000);
