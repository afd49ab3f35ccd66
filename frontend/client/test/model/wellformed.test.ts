/** Halves of characters, which a name or a text ends with that was cut between its units. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { authorOf, fittingName, wellFormed } from "../../src/model/wellformed";
import { Desk } from "../desk";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.clearAllTimers();
  vi.useRealTimers();
});

const HALF = "Ada \ud83d";
const WHOLE = "Ada \ufffd";

test.each([
  ["", ""],
  ["Ada", "Ada"],
  ["\ud83d\ude00 \ufeff", "\ud83d\ude00 \ufeff"],
  [HALF, WHOLE],
  ["\ude00\ud83d", "\ufffd\ufffd"],
])("jsc20 text is well-formed: %j", (given, text) => {
  expect(wellFormed(given)).toBe(text);
});

test("jsc20 a name is cut between characters", () => {
  expect(fittingName("\ud83d\ude00".repeat(300))).toBe("\ud83d\ude00".repeat(255));
});

test("jsc20 half of a character in a name or a text breaks nothing", async () => {
  const desk = new Desk();
  const ada = await desk.join({ user: { name: HALF } });
  ada.setPresence({ name: HALF });
  ada.patch({ title: HALF, data: { [HALF]: [HALF] } });
  expect(ada.state.document?.title).toBe(WHOLE);
  await desk.until(() => ada.state.status.kind === "saved");
  expect(desk.server.document.data).toEqual({ [WHOLE]: [WHOLE] });
  expect(desk.server.heardEvents("phx_join")[0]?.["user"]).toEqual({ name: WHOLE });
  expect(desk.server.heardEvents("presence")[0]).toEqual({ name: WHOLE });
  expect(ada.undo()).toBe(true);
  ada.stop();
});

test.each([
  ["\u202eeve\u2066 \u0007\n", "eve"],
  ["\u202e", ""],
  [5, ""],
  [undefined, ""],
])("jsc43 an author is named as can be shown beside other words: %j", (by, name) => {
  expect(authorOf(by)).toBe(name);
});

test("jsc43 whoever made an entry, or deleted the flow, is told of so", async () => {
  const desk = new Desk();
  const ada = await desk.join();
  const told: unknown[] = [];
  ada.listen((event) => {
    told.push(event.type === "entries" ? event.entries[0]?.by : event.type === "closed" ? event.error.by : null);
  });
  desk.server.edit({ title: "t" }, "\u202eeve");
  await desk.until(() => ada.state.version === 1);
  desk.server.broadcast("flow_deleted", { by: "\u202eeve" });
  desk.server.end("phx_close");
  await desk.until(() => ada.state.status.kind === "closed");
  expect(told).toEqual(["eve", "eve"]);
});
