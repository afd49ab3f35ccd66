// @vitest-environment jsdom
import { afterEach, describe, expect, it, vi } from "vitest";

/** Load the module in a page with this content and address. */
async function at(path: string, told?: object) {
  document.head.innerHTML = "";
  if (told !== undefined) {
    const meta = document.head.appendChild(document.createElement("meta"));
    Object.assign(meta, { name: "helix", content: JSON.stringify(told) });
  }
  history.replaceState(null, "", path);
  vi.resetModules();
  return { ...(await import("../src/address")), ...(await import("../src/server")) };
}

afterEach(() => { vi.resetModules(); });

describe("ACC212: the editor's addresses", () => {
  it("are at the root unless the server says otherwise", async () => {
    const { HOME, flowPath, flowIdOf, server, isEmbedded } = await at("/flow/a%2Fb");
    expect([HOME, flowPath("a/b"), flowIdOf("/flow/a%2Fb"), server().url]).toEqual(["/", "/flow/a%2Fb", "a/b", location.origin]);
    expect(isEmbedded).toBe(false);
  });

  it.each([["/some/helix", "/"], ["/some/helix/", "/"], ["/some/helix/flow/x", "/flow/x"], ["/flow/x", "/flow/x"], ["/some/helixx", "/some/helixx"]])("%s is %s below a path", async (path, below) => {
    const { HOME, flowPath, pathBelow, server } = await at(path, { base: "/some/helix" });
    expect([HOME, flowPath("x"), server().url]).toEqual(["/some/helix/", "/some/helix/flow/x", `${location.origin}/some/helix`]);
    expect(pathBelow(location.pathname)).toBe(below);
  });
});

describe("ACC215: an embedded page", () => {
  it("stays one on its way to another flow", async () => {
    const { go, flowPath, isEmbedded } = await at("/some/helix/flow/x?embed=1", { base: "/some/helix" });
    expect(isEmbedded).toBe(true);
    go(flowPath("y"));
    expect(location.pathname + location.search).toBe("/some/helix/flow/y?embed=1");
  });

  it.each(["?embed=0", "?embed", "?embedded=1", "#embed=1"])("isn't one with %s", async (rest) => {
    expect((await at(`/flow/x${rest}`)).isEmbedded).toBe(false);
  });
});
