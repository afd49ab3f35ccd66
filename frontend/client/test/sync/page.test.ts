// @vitest-environment jsdom
/** What a page lives through: hidden, frozen, asleep, left. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { Browser } from "../browser";
import { Desk } from "../desk";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  Reflect.deleteProperty(document, "visibilityState");
  vi.clearAllTimers();
  vi.useRealTimers();
});

function show(visibilityState: "hidden" | "visible"): void {
  Object.defineProperty(document, "visibilityState", { configurable: true, value: visibilityState });
  document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
}

/** Tell whether the browser would ask before the page is left. */
function asks(): boolean {
  const event = new Event("beforeunload", { cancelable: true });
  window.dispatchEvent(event);
  return event.defaultPrevented;
}

describe("a page", () => {
  test("jsc7 that is hidden connects again, too", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    desk.network.isUp = false;
    desk.network.cut();
    ada.patch({ title: "written before lunch" });
    show("hidden");
    await desk.pass(5000);
    desk.network.isUp = true;
    await desk.until(() => desk.server.document.title === "written before lunch");
    expect(document.visibilityState).toBe("hidden");
    ada.stop();
  });

  test.each(["pagehide", "freeze", "visibilitychange"])(
    "jsc9 sends what is typed when it may be gone: %s",
    async (type) => {
      const desk = new Desk();
      const ada = await desk.join();
      ada.gather("title", { title: "typed" });
      if (type === "visibilitychange") {
        show("hidden");
      } else {
        (type === "freeze" ? document : window).dispatchEvent(new Event(type));
      }
      await desk.pass(50);
      expect(desk.sent).toEqual([{ op_id: 1, patch: { title: "typed" } }]);
      ada.stop();
    },
  );

  test.each(["online", "offline", "pageshow", "resume", "visibilitychange"])(
    "jsc5 that wakes notices within 5 s that its connection is none any more: %s",
    async (type) => {
      const desk = new Desk();
      const ada = await desk.join();
      const { connects } = desk.network;
      desk.network.delay = () => 60_000;
      if (type === "visibilitychange") {
        show("visible");
      } else {
        const event = Object.assign(new Event(type), { persisted: true });
        (type === "resume" ? document : window).dispatchEvent(event);
      }
      // Nothing is claimed that isn't known.
      expect(ada.state.status.kind).toBe("checking");
      await desk.pass(4900);
      expect(ada.state.status.kind).toBe("checking");
      desk.network.delay = () => 1;
      await desk.pass(300);
      expect(desk.network.connects).toBe(connects + 1);
      await desk.until(() => ada.state.status.kind === "saved");
      // Another that works is left alone.
      window.dispatchEvent(new Event("online"));
      await desk.pass(10_000);
      expect(desk.network.connects).toBe(connects + 1);
      ada.stop();
    },
  );

  test("jsc17 hears every error of its connection, which would end a program otherwise", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    let heard = 0;
    const loud = function (url: string): object {
      const pipe = new desk.network.webSocket(url) as { onerror: unknown };
      setTimeout(() => {
        heard += typeof pipe.onerror === "function" ? 1 : 0;
      }, 0);
      return pipe;
    } as unknown as typeof desk.network.webSocket;
    const ben = await desk.join({ webSocket: loud });
    expect(heard).toBe(1);
    ada.stop();
    ben.stop();
  });

  test("jsc17 waits for no connection that it has given up", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    const { connects } = desk.network;
    desk.network.jam();
    ada.patch({ title: "into nowhere" });
    window.dispatchEvent(new Event("online"));
    await desk.pass(5200);
    expect(desk.network.connects).toBe(connects + 1);
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.document.title).toBe("into nowhere");
    ada.stop();
  });

  test("jsc18 that has slept sees whether its connection still is one", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    desk.network.jam();
    await desk.pass(5000);
    expect(ada.state.status.kind).toBe("saved");
    vi.setSystemTime(Date.now() + 3_600_000);
    await desk.pass(5000);
    expect(ada.state.status.kind).toBe("checking");
    await desk.pass(5200);
    expect(ada.state.status.kind).toBe("saved");
    ada.stop();
  });

  test("jsc18 says nothing is known while the server is silent", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    const seen: string[] = [];
    ada.subscribe(() => {
      seen.push(ada.state.status.kind);
    });
    desk.network.jam();
    await desk.pass(36_000);
    expect(ada.state.status.kind).toBe("checking");
    await desk.until(() => ada.state.status.kind === "saved");
    expect(seen.filter((kind, n) => kind !== seen[n - 1])).toEqual(["checking", "offline", "saved"]);
    ada.stop();
  });

  test("jsc18 isn't fooled by what was on its way before it slept", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    desk.server.edit({ title: "sent before" });
    desk.network.delay = () => 60_000;
    window.dispatchEvent(new Event("online"));
    await desk.pass(100);
    expect([ada.state.document?.title, ada.state.status.kind]).toEqual(["sent before", "checking"]);
    await desk.pass(5200);
    expect(ada.state.status.kind).toBe("offline");
    desk.network.delay = () => 1;
    await desk.until(() => ada.state.status.kind === "saved");
    ada.stop();
  });

  test("jsc17 tells twice that it wakes, and begins one attempt", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    desk.network.isUp = false;
    desk.network.cut();
    await desk.until(() => ada.state.status.failedAttempts > 6);
    desk.network.isUp = true;
    desk.network.delay = () => 50;
    const { connects } = desk.network;
    for (const type of ["online", "pageshow"]) {
      window.dispatchEvent(Object.assign(new Event(type), { persisted: true }));
      await desk.pass(20);
    }
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.network.connects).toBe(connects + 1);
    ada.stop();
  });

  test("jsc17 that comes back as it was left sends what was typed before", async () => {
    const desk = new Desk();
    const ada = await desk.join({ keeper: new Browser().page() });
    ada.gather("title", { title: "typed" });
    desk.network.delay = () => 60_000;
    window.dispatchEvent(new Event("pagehide"));
    await desk.pass(10);
    desk.network.delay = () => 1;
    window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
    await desk.until(() => ada.state.status.kind === "saved");
    expect(desk.server.log.map(({ patch }) => patch)).toEqual([{ title: "typed" }]);
    ada.stop();
  });

  test.each([25, 8])("jsc19 gets a large document over a slow line: %i bytes a millisecond", async (speed) => {
    const desk = new Desk();
    desk.server.edit({ data: { large: "x".repeat(3_000_000) } });
    desk.network.speed = speed;
    const ada = desk.open();
    for (let waited = 0; waited < 3_000_000 / speed + 10_000; waited += 10_000) {
      // Nothing that wakes the page has it begin anew: something is coming.
      window.dispatchEvent(new Event("online"));
      await desk.pass(10_000);
    }
    expect([ada.state.status.kind, desk.network.connects]).toEqual(["saved", 1]);
    expect(ada.state.document).toEqual(desk.server.document);
    ada.stop();
  });

  test("jsc19 begins anew where the parts of the document end in the middle", async () => {
    const desk = new Desk();
    desk.server.edit({ data: { large: "x".repeat(3_000_000) } });
    desk.network.speed = 25;
    const ada = desk.open();
    await desk.pass(30_000);
    desk.network.jam();
    desk.network.speed = Infinity;
    expect(desk.network.connects).toBe(1);
    window.dispatchEvent(new Event("online"));
    await desk.pass(5200);
    expect(desk.network.connects).toBe(2);
    await desk.until(() => ada.state.status.kind === "saved");
    expect(ada.state.document).toEqual(desk.server.document);
    ada.stop();
  });

  test("jsc7 that wakes while it is offline tries at once", async () => {
    const desk = new Desk();
    desk.network.isUp = false;
    const ada = desk.open();
    await desk.until(() => ada.state.status.isSlow);
    desk.network.isUp = true;
    window.dispatchEvent(new Event("online"));
    await desk.pass(50);
    expect(ada.state.status.kind).toBe("saved");
    ada.stop();
  });

  test("jsc8 warns before it is left only while something would be lost", async () => {
    const desk = new Desk();
    const ada = await desk.join();
    expect([ada.state.status.kept, asks()]).toEqual([false, false]);
    ada.patch({ title: "unsent" });
    expect(asks()).toBe(true);
    await desk.until(() => ada.state.status.kind === "saved");
    expect(asks()).toBe(false);
    ada.gather("title", { title: "typed" });
    expect(asks()).toBe(true);
    ada.stop();
    expect(asks()).toBe(false);

    const ben = await desk.join({ keeper: new Browser().page() });
    ben.patch({ title: "kept" });
    expect([ben.state.status.kept, asks()]).toEqual([true, false]);
    ben.stop();
  });
});
