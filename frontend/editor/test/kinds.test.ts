/** What nodes hold, as `helix/data/kinds.json` says it: forms, search, links. */

import { describe, expect, it } from "vitest";

import { CATEGORIES, type Field, fieldFor, kindOf, KINDS, wordsOf } from "../src/kinds";
import { relinked } from "../src/links";

const fields = KINDS.flatMap(({ type, fields: all }) => all.map((field) => [`${type}.${field.name}`, field] as const));

describe("EDI53: settings come from one file", () => {
  it("names each field of a kind once, and each heading of the palette", () => {
    for (const { type, fields: all, telling, category } of KINDS) {
      expect(new Set(all.map(({ name }) => name)).size, type).toBe(all.length);
      expect(all.map(({ name }) => name)).toContain(telling);
      expect(CATEGORIES).toContain(category);
    }
  });

  it.each(fields)("%s has a form, and a default that fits it", (_, field: Field) => {
    expect(["line", "text", "code", "number", "list", "json", "switch", "links"].includes(field.form as string) || Array.isArray(field.form)).toBe(true);
    expect(fieldFor(field, field.fallback)).toBe(field);
    const [least, most] = field.range ?? [0, 0];
    expect(field.range === undefined || field.fallback === undefined || ((field.fallback as number) >= least && (field.fallback as number) <= most)).toBe(true);
  });

  it.each([5, true, ["a"], { a: 1 }, "words", null])("edits %j as it is where it is no value for the field", (value) => {
    for (const [name, field] of fields) {
      const { form } = fieldFor(field, value);
      expect(form === field.form || form === "json", name).toBe(true);
      if (typeof value === "object" && value !== null && !Array.isArray(value)) {
        expect(form, name).toBe("json");
      }
    }
  });

  it("finds a node by labels of fields, what they hold, and what choices are called", () => {
    const words = wordsOf({ type: "agent", data: { provider: "azure", temperature: 0.2, odd: { deep: 1 } } });
    for (const word of ["Azure OpenAI", "Temperature 0.2", "Provider", "odd", "deep"]) {
      expect(words).toContain(word);
    }
    expect(wordsOf({ type: "nothing", data: undefined as never })).toBe("");
  });

  it("leads links to copies, and leaves what is no list of ids", () => {
    const copies = new Map([["a", "a2"]]);
    expect(relinked({ skills: ["a", "b", 5], x: "a" }, copies)).toEqual({ skills: ["a2", "b", 5], x: "a" });
    const odd = { skills: "a" };
    expect(relinked(odd, copies)).toBe(odd);
    expect(kindOf("agent").fields.find(({ name }) => name === "skills")?.form).toBe("links");
  });
});
