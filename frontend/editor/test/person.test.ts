// @vitest-environment jsdom
import { beforeEach, describe, expect, it } from "vitest";

import { rename, thePerson } from "../src/person";

const KNOWN = { id: "abc_DEF-12", name: "Ada", color: "#0f766e" };

beforeEach(() => {
  localStorage.clear();
});

describe("EDI66: the user whom this browser has stored", () => {
  it("is the same at each visit", () => {
    const person = thePerson();
    expect(thePerson()).toEqual(person);
    expect(rename("Ben")).toEqual({ ...person, name: "Ben" });
    expect(rename("\u202e ")).toEqual({ ...person, name: "Ben" });
    expect(thePerson().name).toBe("Ben");
    localStorage.setItem("helix-person", JSON.stringify(KNOWN));
    expect(thePerson()).toEqual(KNOWN);
  });

  it.each<[string, object]>([
    ["id", { id: "x".repeat(300) }], ["id", { id: "toString" }], ["id", { id: "__proto__" }], ["id", { id: "prototype" }], ["id", { id: ".." }], ["id", { id: 5 }],
    ["colour", { color: `red${" ".repeat(100)}` }], ["colour", { color: "url(//elsewhere.test)" }], ["colour", { color: null }],
    ["name", { name: "\u0000" }], ["name", { name: {} }],
  ])("is another where no server would let them in with that %s: %j", (_, odd) => {
    localStorage.setItem("helix-person", JSON.stringify({ ...KNOWN, ...odd }));
    const person = thePerson();
    expect(person.id).toMatch(/^[\w-]{12}$/);
    expect(person.id).not.toBe(KNOWN.id);
    expect(thePerson()).toEqual(person);
  });

  it("has a name as long as a server takes", () => {
    localStorage.setItem("helix-person", JSON.stringify({ ...KNOWN, name: "x".repeat(100_000) }));
    expect(thePerson()).toEqual({ ...KNOWN, name: "x".repeat(255) });
  });
});
