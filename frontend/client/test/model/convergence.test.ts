import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { apply, emptyDocument } from "../../src/model/document";
import { FlowSync } from "../../src/sync/sync";
import type { FlowDocument } from "../../src/types";
import { Browser } from "../browser";
import { flowPatch, seeded } from "../given";
import { Network } from "../network";
import { FlowServer } from "../server";

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
  { weight: 1, arbitrary: fc.record({ is: fc.constant("drain") }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("whole") }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("end") }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("reload"), who }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("kill"), who }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("restart"), who }) },
  { weight: 6, arbitrary: fc.record({ is: fc.constant("wait"), ms: fc.nat({ max: 400 }) }) },
);
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

/** Three people in one browser and a server, on a network as bad as may be. */
class World {
  readonly network = new Network();
  readonly server = new FlowServer(this.network);
  readonly browser = new Browser();
  readonly people: FlowSync[];
  readonly #pages: ReturnType<Browser["page"]>[] = [];
  readonly #random: () => number;

  constructor(seed: number, count = 3) {
    const random = seeded(seed);
    this.#random = random;
    this.network.delay = () => Math.floor(random() * 120);
    this.server.mood = () =>
      random() < 0.1 ? { reason: "The store is away", code: "store_unavailable", retry: true } : null;
    this.people = Array.from({ length: count }, (_, who) => this.#open(who));
  }

  #open(who: number): FlowSync {
    const keeper = this.browser.page();
    this.#pages[who] = keeper;
    const person = new FlowSync("demo", {
      url: "http://helix.test",
      keeper,
      webSocket: this.network.webSocket,
      random: this.#random,
    });
    person.start();
    return person;
  }

  /** A page is loaded anew: it ends with or without last words. */
  #reload(who: number, isKilled: boolean): void {
    if (isKilled) {
      // It keeps nothing any more, and sends nothing: the connection is gone with it.
      this.#pages[who]?.die();
    }
    this.people[who]?.stop();
    this.#pages[who]?.die();
    this.people[who] = this.#open(who);
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
      case "drain":
        this.network.drain();
        break;
      case "whole":
        this.server.isWhole = !this.server.isWhole;
        break;
      case "end":
        this.server.broadcast("session_ended", {});
        this.server.end("phx_error");
        break;
      case "reload":
        await vi.advanceTimersByTimeAsync(5);
        this.#reload("who" in happening ? happening.who : 0, false);
        break;
      case "kill":
        await vi.advanceTimersByTimeAsync(5);
        this.#reload("who" in happening ? happening.who : 0, true);
        break;
      case "restart":
        person?.stop();
        person?.start();
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
        expect(world.browser.operations).toEqual([]);
        world.stop();
        await vi.advanceTimersByTimeAsync(60_000);
        vi.clearAllTimers();
      },
    ),
    { numRuns: 400 },
  );
}, 110_000);

test("jsc3 jsc8 one person's edits are in the log in their order, whatever pages they have made them in", async () => {
  const kinds = ["edit", "type", "cut", "drain", "crash", "whole", "reload", "kill", "restart", "wait"];
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom(...kinds), fc.nat({ max: 200 })), { maxLength: 60 }),
      fc.integer(),
      async (happenings, seed) => {
        const world = new World(seed, 1);
        let made = 0;
        for (const [is, ms] of happenings) {
          if (is === "edit" || is === "type") {
            made += 1;
            const patch = { data: { newest: made, [`n${made}`]: made } };
            if (is === "edit") {
              world.people[0]?.patch(patch);
            } else {
              world.people[0]?.gather("text", patch);
            }
          } else {
            await world.let({ is, who: 0, ms } as Happening);
          }
        }
        await world.settle();
        const { server, people } = world;
        expect(people[0]?.state.document).toEqual(server.document);
        const numbers = server.log.flatMap(({ patch }) => {
          const { newest } = patch["data"] as { newest?: number };
          return newest === undefined ? [] : [newest];
        });
        expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
        const { newest, ...all } = server.document.data;
        expect(Object.keys(all)).toHaveLength(made);
        expect(newest ?? 0).toBe(made);
        world.stop();
        await vi.advanceTimersByTimeAsync(60_000);
        vi.clearAllTimers();
      },
    ),
    { numRuns: 300 },
  );
}, 110_000);
