import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { Change } from "../../src/model/change";
import { apply, emptyDocument, stage } from "../../src/model/document";
import { History, MAX_STEPS } from "../../src/model/history";
import { inverse, isEmpty } from "../../src/model/mergepatch";
import { undoing } from "../../src/model/undoing";
import type { FlowDocument, JsonObject } from "../../src/types";
import { flowDocument, flowPatch } from "../given";

/** One person's copy, without a server. */
class Desk {
  document: FlowDocument;
  readonly history = new History();
  #version = 0;

  constructor(document: FlowDocument = emptyDocument()) {
    this.document = document;
  }

  do(patch: JsonObject, key: string | null = null): void {
    const change = this.#change(patch);
    if (!isEmpty(change.effective)) {
      this.history.add(change, key);
    }
  }

  /** What somebody else does. */
  suffer(patch: JsonObject): void {
    this.#version += 1;
    this.history.overtake(this.#change(patch).effective, this.#version);
  }

  undo(): boolean {
    return this.history.undo(this.document, (changes) => this.#takeBack(changes));
  }

  redo(): boolean {
    return this.history.redo(this.document, (changes) => this.#takeBack(changes));
  }

  get canUndo(): boolean {
    return this.history.canUndo(this.document);
  }

  get canRedo(): boolean {
    return this.history.canRedo(this.document);
  }

  #takeBack(changes: readonly Change[]): Change[] {
    return [this.#change(undoing(this.document, changes))];
  }

  #change(patch: JsonObject): Change {
    const effective = stage(this.document, patch);
    this.#version += 1;
    const change = {
      durableAt: this.#version,
      effective,
      inverse: inverse(this.document, effective),
    };
    this.document = apply(this.document, effective);
    return change;
  }
}

const NODE = { id: "n1", position: { x: 0, y: 0 }, data: {} };

describe("undo", () => {
  test("jsc10 undoing all gives the beginning, redoing all the end", () => {
    fc.assert(
      fc.property(flowDocument, fc.array(flowPatch, { maxLength: 12 }), (start, patches) => {
        const desk = new Desk(start);
        patches.forEach((patch) => {
          desk.do(patch);
        });
        const end = desk.document;
        while (desk.undo());
        expect(desk.document).toEqual(start);
        expect(desk.canUndo).toBe(false);
        while (desk.redo());
        expect(desk.document).toEqual(end);
      }),
      { numRuns: 1000 },
    );
  });

  test("jsc10 nothing that others have changed since is touched", () => {
    fc.assert(
      fc.property(
        flowDocument,
        fc.array(flowPatch, { maxLength: 6 }),
        flowPatch,
        (start, patches, theirs) => {
          const desk = new Desk(start);
          patches.forEach((patch) => {
            desk.do(patch);
          });
          const before = desk.document;
          desk.suffer(theirs);
          const changed = leaves(stage(before, theirs));
          const after = desk.document;
          while (desk.undo());
          for (const path of changed) {
            expect(at(desk.document, path)).toEqual(at(after, path));
          }
        },
      ),
      { numRuns: 1000 },
    );
  });

  test("jsc10 a field that somebody else has set since stays, the rest of the step goes", () => {
    const desk = new Desk();
    desk.do({ nodes: { n1: NODE } });
    desk.do({ nodes: { n1: { position: { x: 5, y: 6 }, data: { label: "mine" } } } });
    desk.suffer({ nodes: { n1: { data: { label: "theirs" } } } });
    desk.undo();
    expect(desk.document.nodes["n1"]).toEqual({ ...NODE, data: { label: "theirs" } });
  });

  test("jsc10 a node that somebody else has changed or connected since isn't undone away", () => {
    const desk = new Desk();
    desk.do({ nodes: { n1: NODE, n2: { ...NODE, id: "n2" }, n3: { ...NODE, id: "n3" } } });
    desk.suffer({ edges: { e: { id: "e", source: "n2", target: "n2" } } });
    desk.suffer({ nodes: { n1: { data: { label: "theirs" } } } });
    desk.undo();
    expect(Object.keys(desk.document.nodes)).toEqual(["n1", "n2"]);
    expect(Object.keys(desk.document.edges)).toEqual(["e"]);
  });

  test("jsc10 what somebody else has set to what one had set oneself stays, too", () => {
    const desk = new Desk();
    desk.do({ title: "B" });
    desk.do({ title: "A" });
    desk.suffer({ title: "B" });
    expect(desk.undo()).toBe(false);
    expect(desk.document.title).toBe("B");
  });

  test("jsc10 an edge that is led away from a node doesn't hold that back", () => {
    const desk = new Desk();
    desk.do({ nodes: { n1: NODE, n2: { ...NODE, id: "n2" } } });
    desk.do({ edges: { e: { id: "e", source: "n1", target: "n1" } } });
    desk.do({ nodes: { n1: null }, edges: { e: { source: "n2", target: "n2" } } });
    const end = desk.document;
    desk.undo();
    desk.redo();
    expect(desk.document).toEqual(end);
  });

  test("jsc10 a step of which nothing is left is passed over", () => {
    const desk = new Desk();
    desk.do({ title: "A" });
    desk.do({ description: "mine" });
    desk.suffer({ description: "theirs" });
    expect(desk.undo()).toBe(true);
    expect(desk.document.title).toBe("");
    expect(desk.document.description).toBe("theirs");
    expect(desk.undo()).toBe(false);
  });

  test("jsc10 what is done under one key in a row is one step", () => {
    const desk = new Desk();
    desk.do({ title: "a" }, "title");
    desk.do({ title: "ab" }, "title");
    desk.do({ description: "d" });
    desk.do({ title: "abc" }, "title");
    desk.history.end();
    desk.do({ title: "abcd" }, "title");
    desk.undo();
    expect(desk.document.title).toBe("abc");
    desk.undo();
    expect(desk.document.title).toBe("ab");
    desk.undo();
    desk.undo();
    expect(desk.document).toEqual(emptyDocument());
  });

  test("jsc10 a new change ends what could be redone, a dropped one is no step", () => {
    const desk = new Desk();
    desk.do({ title: "A" });
    desk.undo();
    expect(desk.canRedo).toBe(true);
    desk.do({ title: "B" });
    expect(desk.canRedo).toBe(false);
    const change = { durableAt: 1, effective: { title: "C" }, inverse: { title: "B" } };
    desk.history.clear();
    desk.history.add(change, null);
    desk.history.drop(change);
    expect(desk.canUndo).toBe(false);
  });

  test("jsc10 so many steps are kept, no more", () => {
    const desk = new Desk();
    for (let n = 0; n <= MAX_STEPS; n += 1) {
      desk.do({ title: String(n) });
    }
    while (desk.undo());
    expect(desk.document.title).toBe("0");
  });
});

/** List the places that a patch sets or deletes. */
function leaves(patch: JsonObject, path: string[] = []): string[][] {
  return Object.entries(patch).flatMap(([name, value]) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? leaves(value as JsonObject, [...path, name])
      : [[...path, name]],
  );
}

function at(value: unknown, path: string[]): unknown {
  return path.reduce<unknown>(
    (inside, name) =>
      typeof inside === "object" && inside !== null && Object.hasOwn(inside, name)
        ? (inside as JsonObject)[name]
        : undefined,
    value,
  );
}
