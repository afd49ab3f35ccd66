/** Copies values for a patch: what JSON can hold, and where the rest stands. */

import type { JsonObject } from "../types.js";
import { isObject, LARGEST_NUMBER, own } from "./mergepatch.js";
import { wellFormed } from "./wellformed.js";

/** How deep arrays and objects may nest in a document, counting the document itself. */
const MAX_DEPTH = 32;

/** Names that reach an object's prototype: merging them would allow prototype pollution. */
export const FORBIDDEN: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

const UNNAMEABLE = "no document may have a member of this name";

/** A part of a patch that JSON can't hold. */
export interface Untold {
  /** Where it is: a JSON Pointer (RFC 6901). */
  path: string;
  /** What is wrong with it. */
  problem: string;
}

type Path = readonly string[];

/** Write names as a JSON Pointer. */
export function pointerOf(path: Path): string {
  return path.map((name) => `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

/**
 * Copy a patch. Members of nodes and edges that are `undefined` are left out; lone surrogates are replaced as
 * everybody will see them.
 *
 * @throws TypeError if no document can hold it, with the JSON Pointer of the first such place.
 */
export function copyPatch(patch: JsonObject): JsonObject {
  const { told, untold } = new Teller(false).tell(patch);
  const [first] = untold;
  if (first !== undefined) {
    throw new TypeError(`${first.path}: ${first.problem}`);
  }
  return told;
}

/** The part of an object that JSON can hold. */
export interface Tellable {
  told: JsonObject;
  /** The parts that it can't hold. */
  untold: readonly Untold[];
  /** Where something was left out. */
  gaps: readonly Path[];
}

/**
 * Copy the part of an object that JSON can hold, and list the rest.
 *
 * `undefined` is left out, as React does, and so are non-finite numbers outside `data`: React Flow gives those
 * when it can't measure. Neither is listed as untold.
 *
 * @param at where in a patch the object will be.
 */
export function tellable(object: JsonObject, at: Path): Tellable {
  return new Teller(true).tell(object, at);
}

/** Remove from a patch the places where something was left out. */
export function sparing(patch: JsonObject, gaps: readonly Path[]): JsonObject {
  return gaps.reduce((rest, gap) => without(rest, gap), patch);
}

function without(patch: JsonObject, [name = "", ...further]: Path): JsonObject {
  const member = own(patch, name);
  if (isObject(member) && further.length > 0) {
    return { ...patch, [name]: without(member, further) };
  }
  return Object.fromEntries(Object.entries(patch).filter(([one]) => one !== name));
}

/** Marks what can't be told. */
const NOTHING = Symbol("nothing");

class Teller {
  readonly #untold: Untold[] = [];
  readonly #gaps: Path[] = [];
  /** Whether the object comes from React Flow. */
  readonly #isLenient: boolean;
  /** The objects around the current value. */
  readonly #within = new Set<unknown>();

  constructor(isLenient: boolean) {
    this.#isLenient = isLenient;
  }

  tell(object: JsonObject, at: Path = []): Tellable {
    const isNamed = !at.some((name) => FORBIDDEN.has(name));
    const told = isNamed ? this.#value(object, at) : this.#refuse(at, UNNAMEABLE);
    return { told: isObject(told) ? told : {}, untold: this.#untold, gaps: this.#gaps };
  }

  #value(value: unknown, path: Path): unknown {
    if (isTextField(path) && value !== null && value !== undefined && typeof value !== "string") {
      return this.#refuse(path, "it must be a string");
    }
    switch (typeof value) {
      case "string":
        return wellFormed(value);
      case "boolean":
        return value;
      case "number":
        return this.#number(value, path);
      case "object":
        return value === null ? null : this.#nested(value, path);
      case "undefined":
        return this.#refuse(path, "undefined can't be told in JSON");
      case "bigint":
        return this.#refuse(path, `the BigInt ${value} can't be told in JSON`);
      default:
        return this.#refuse(path, `a ${typeof value} can't be told in JSON`);
    }
  }

  #number(value: number, path: Path): unknown {
    if (Math.abs(value) <= LARGEST_NUMBER) {
      return value;
    }
    if (Number.isFinite(value)) {
      return this.#refuse(path, `${value} is beyond 2^53, where browsers don't have every number`);
    }
    if (this.#isLenient && !isData(path)) {
      this.#gaps.push(path);
      return NOTHING;
    }
    return this.#refuse(path, `${value} can't be told in JSON`);
  }

  #nested(value: object, path: Path): unknown {
    if (this.#within.has(value)) {
      return this.#refuse(path, "it lies in itself");
    }
    if (path.length >= MAX_DEPTH) {
      return this.#refuse(path, `it nests deeper than ${MAX_DEPTH}`);
    }
    if (!Array.isArray(value) && !isPlain(value)) {
      return this.#refuse(path, `a ${kindOf(value)} can't be told in JSON`);
    }
    this.#within.add(value);
    const told = Array.isArray(value) ? this.#array(value, path) : this.#object(value, path);
    this.#within.delete(value);
    return told;
  }

  /** Arrays are values: one untellable item makes the array untellable. */
  #array(value: readonly unknown[], path: Path): unknown {
    const told = Array.from(value, (member, n) => this.#value(member, [...path, String(n)]));
    return told.includes(NOTHING) ? NOTHING : told;
  }

  #object(value: object, path: Path): JsonObject {
    const told: JsonObject = {};
    for (const [name, member] of Object.entries(value)) {
      const here = [...path, name];
      if (FORBIDDEN.has(name)) {
        this.#refuse(here, UNNAMEABLE);
      } else if (member !== undefined || !(this.#isLenient || isAttribute(here))) {
        const one = this.#value(member, here);
        if (one !== NOTHING) {
          told[wellFormed(name)] = one;
        }
      }
    }
    return told;
  }

  #refuse(path: Path, problem: string): typeof NOTHING {
    this.#untold.push({ path: pointerOf(path), problem });
    this.#gaps.push(path);
    return NOTHING;
  }
}

/** Tell whether an object is a plain one, even from another window. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function kindOf(value: object): string {
  const { constructor } = value as { constructor: unknown };
  return typeof constructor === "function" ? constructor.name : "object of a class";
}

/** Tell whether a path leads into the app's own `data`, of a node, an edge or the flow. */
function isData([kind, id, name]: Path): boolean {
  return kind === "data" || ((kind === "nodes" || kind === "edges") && id !== undefined && name === "data");
}

/** Tell whether a path leads to a React Flow field of a node or an edge: it may be `undefined`. */
function isAttribute(path: Path): boolean {
  return path.length > 2 && !isData(path);
}

/** Fields of nodes and edges that are texts in every document: components are looked up by them. */
const TEXT_FIELDS: Readonly<Record<string, readonly string[]>> = { nodes: ["type", "parentId"], edges: ["type"] };

/** Tell whether a path leads to such a field. */
function isTextField([kind = "", , name = "", ...further]: Path): boolean {
  return name !== "" && further.length === 0 && own(TEXT_FIELDS, kind)?.includes(name) === true;
}
