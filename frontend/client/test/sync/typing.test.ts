import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { TextDraft } from "../../src/model/drafts";
import { placeAfter } from "../../src/model/texts";
import { FlowSync } from "../../src/sync/sync";
import type { FlowEvent } from "../../src/types";
import { Browser } from "../browser";
import { seeded } from "../given";
import { Network } from "../network";
import { FlowServer } from "../server";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const TEXT = "one two three four five six seven";

/** Somebody who writes in a text that others write in, one key after the other. */
class Writer {
  readonly sync: FlowSync;
  readonly conflicts: FlowEvent[] = [];
  readonly #draft: TextDraft;
  #place = 0;

  constructor(sync: FlowSync) {
    this.sync = sync;
    this.#draft = new TextDraft(this.shown);
    sync.subscribe(() => {
      const { shown } = this;
      this.#place = placeAfter(this.#place, this.#draft.seen, shown);
      this.#draft.follow(shown);
    });
    sync.listen((event) => {
      if (event.type === "conflict") {
        this.conflicts.push(event);
      }
    });
  }

  get shown(): string {
    const text = this.sync.state.document?.data["text"];
    return typeof text === "string" ? text : "";
  }

  /** Go to a place between words. */
  go(share: number): void {
    const places = this.#places();
    this.#place = places[Math.floor(share * places.length)] ?? 0;
  }

  /** Go to the last of these places. */
  goToEnd(): void {
    this.#place = this.#places().at(-1) ?? 0;
  }

  /** List where words end, but those that somebody else has only begun: what is put in there may part them. */
  #places(): number[] {
    const { seen } = this.#draft;
    const ends = [...seen.matchAll(/ |$/g)].map(({ index }) => index);
    return ends.filter((end) => /( |\.|one|two|three|four|five|six|seven)$/.test(seen.slice(0, end)));
  }

  key(character: string): void {
    this.#write(this.#place, character);
  }

  #write(from: number, character: string): void {
    const { seen } = this.#draft;
    this.#place = from + character.length;
    const text = this.#draft.write(seen.slice(0, from) + character + seen.slice(from), this.shown);
    this.sync.gather("text", { data: { text } }, { isText: true });
  }
}

/** People before a server, on a network as bad as may be. */
class World {
  readonly network = new Network();
  readonly server = new FlowServer(this.network);
  readonly browser = new Browser();
  readonly writers: Writer[];

  constructor(seed: number, count: number) {
    const random = seeded(seed);
    this.server.edit({ data: { text: TEXT } });
    this.network.delay = () => Math.floor(random() * 300);
    this.server.mood = () =>
      random() < 0.1 ? { reason: "The store is away", code: "store_unavailable", retry: true } : null;
    this.writers = Array.from({ length: count }, () => {
      const sync = new FlowSync("demo", {
        url: "http://helix.test",
        keeper: this.browser.page(),
        webSocket: this.network.webSocket,
        random,
      });
      sync.start();
      return new Writer(sync);
    });
  }

  async come(): Promise<void> {
    for (let n = 0; n < 100 && this.writers.some(({ shown }) => shown !== TEXT); n += 1) {
      await vi.advanceTimersByTimeAsync(1000);
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
    return this.writers.every(
      ({ sync: { state } }) => state.status.kind === "saved" && state.version === this.server.version,
    );
  }

  async stop(): Promise<void> {
    this.writers.forEach(({ sync }) => {
      sync.stop();
    });
    await vi.advanceTimersByTimeAsync(60_000);
    vi.clearAllTimers();
  }
}

const happening = fc.record({
  who: fc.nat({ max: 2 }),
  is: fc.oneof(
    { weight: 20, arbitrary: fc.constant("word") },
    { weight: 4, arbitrary: fc.constant("go") },
    { weight: 4, arbitrary: fc.constant("end") },
    { weight: 1, arbitrary: fc.constant("cut") },
    { weight: 1, arbitrary: fc.constant("crash") },
    { weight: 1, arbitrary: fc.constant("whole") },
    { weight: 1, arbitrary: fc.constant("drain") },
    { weight: 4, arbitrary: fc.constant("wait") },
  ),
  share: fc.double({ min: 0, max: 0.999, noNaN: true }),
});

test("jsc9 people who write in one text at once, at the same place or not, lose no word", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(happening, { minLength: 5, maxLength: 60 }),
      fc.integer(),
      fc.constantFrom(2, 3),
      async (happenings, seed, count) => {
        const world = new World(seed, count);
        const { network, server, writers } = world;
        await world.come();
        const words: string[] = [];
        const left = writers.map((): string[] => []);
        // Whoever has begun a word goes on with it while others do something.
        const typeOn = (): void => {
          left.forEach((keys, who) => {
            const key = keys.shift();
            if (key !== undefined) {
              writers[who]?.key(key);
            }
          });
        };
        for (const [n, { who, is, share }] of happenings.entries()) {
          const at = who % count;
          const writer = writers[at];
          const isBusy = (left[at] ?? []).length > 0;
          if (is === "word" && !isBusy) {
            const word = `${"abc"[at] ?? ""}${n}${"xyz".slice(Math.floor(share * 3))}.`;
            words.push(word);
            left[at] = Array.from(` ${word} `);
          } else if (is === "go" && !isBusy) {
            writer?.go(share);
          } else if (is === "end" && !isBusy) {
            writer?.goToEnd();
          } else if (is === "cut") {
            network.cut((nth) => nth === at);
          } else if (is === "crash") {
            server.end("phx_error");
          } else if (is === "whole") {
            server.isWhole = !server.isWhole;
          } else if (is === "drain") {
            network.drain();
          }
          typeOn();
          await vi.advanceTimersByTimeAsync(Math.floor(share * (is === "wait" ? 2000 : 250)));
        }
        while (left.some((keys) => keys.length > 0)) {
          typeOn();
          await vi.advanceTimersByTimeAsync(100);
        }
        await world.settle();
        const text = String(server.document.data["text"]);
        expect(writers.map(({ shown }) => shown)).toEqual(writers.map(() => text));
        expect(words.filter((word) => !text.includes(word))).toEqual([]);
        expect(words.filter((word) => text.split(word).length > 2)).toEqual([]);
        const typed = words.map((word) => word.length + 2).reduce((sum, length) => sum + length, 0);
        expect(text.length).toBe(TEXT.length + typed);
        expect(TEXT.split(" ").filter((word) => !text.includes(word))).toEqual([]);
        expect(writers.flatMap(({ conflicts }) => conflicts)).toEqual([]);
        await world.stop();
      },
    ),
    { numRuns: 200 },
  );
}, 110_000);
