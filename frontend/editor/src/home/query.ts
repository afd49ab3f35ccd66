/** The search language of home: words, counts and ages. Pure functions. */

import { own } from "helix-flows";

/** Conditions for flows, by REST's parameters; ages are in seconds. */
export interface Filter {
  min_nodes?: number;
  max_nodes?: number;
  min_edges?: number;
  max_edges?: number;
  changed_within?: number;
  unchanged_for?: number;
}

export interface Query {
  /** The words to find in titles, descriptions and ids. */
  words: string;
  filter: Filter;
}

const SECONDS: Readonly<Record<string, number>> = { h: 3_600, d: 86_400, w: 7 * 86_400, m: 30 * 86_400, y: 365 * 86_400 };

const COUNT = /^(nodes|edges):(?:(>=|<=|>|<|=)?(\d{1,9})|(\d{1,9})\.\.(\d{1,9}))$/i;
const AGE = /^(updated|changed|age|newer|older):(>=|<=|>|<)?(\d{1,5})([hdwmy])$/i;

function countsOf(word: string): Filter | null {
  const [, what, how, one, from, to] = COUNT.exec(word) ?? [];
  if (what === undefined) {
    return null;
  }
  const [least, most] = what.toLowerCase() === "nodes" ? (["min_nodes", "max_nodes"] as const) : (["min_edges", "max_edges"] as const);
  if (one === undefined) {
    return { [least]: Number(from), [most]: Number(to) };
  }
  const number = Number(one);
  switch (how) {
    case ">": return { [least]: number + 1 };
    case ">=": return { [least]: number };
    // Fewer than 0 matches nothing.
    case "<": return number === 0 ? { [least]: 1, [most]: 0 } : { [most]: number - 1 };
    case "<=": return { [most]: number };
    default: return { [least]: number, [most]: number };
  }
}

function agesOf(word: string): Filter | null {
  const [, what, how = "", count, unit = ""] = AGE.exec(word) ?? [];
  if (what === undefined) {
    return null;
  }
  const age = Number(count) * (own(SECONDS, unit.toLowerCase()) ?? 0);
  const isOlder = what.toLowerCase() === "older" || (what.toLowerCase() !== "newer" && how.startsWith(">"));
  return isOlder ? { unchanged_for: age } : { changed_within: age };
}

/**
 * Read a search: words, and among them `nodes:>10`, `edges:2..5`, `updated:<7d`, `older:30d`, with `h`,
 * `d`, `w`, `m` and `y` for hours, days, weeks, months and years. Everything else counts as a word.
 */
export function readQuery(typed: string): Query {
  const words: string[] = [];
  const filter: Filter = {};
  for (const word of typed.split(/\s+/).filter(Boolean)) {
    const found = countsOf(word) ?? agesOf(word);
    if (found === null) {
      words.push(word);
    } else {
      Object.assign(filter, found);
    }
  }
  return { words: words.join(" "), filter };
}

/** A choice, and the search text for it. */
export interface Choice {
  label: string;
  typed: string;
}

/** Choices for the number of nodes. */
export const SIZES: readonly Choice[] = [
  { label: "Any size", typed: "" },
  { label: "No nodes", typed: "nodes:0" },
  { label: "1 to 10 nodes", typed: "nodes:1..10" },
  { label: "11 to 50 nodes", typed: "nodes:11..50" },
  { label: "More than 50 nodes", typed: "nodes:>50" },
];

/** Choices for the last change. */
export const AGES: readonly Choice[] = [
  { label: "Any time", typed: "" },
  { label: "The last 24 hours", typed: "updated:<24h" },
  { label: "The last 7 days", typed: "updated:<7d" },
  { label: "The last 30 days", typed: "updated:<30d" },
  { label: "More than 30 days ago", typed: "older:30d" },
  { label: "More than a year ago", typed: "older:1y" },
];

const isAbout = (word: string, what: "nodes" | "age"): boolean => (what === "nodes" ? /^nodes:/i.test(word) && countsOf(word) !== null : agesOf(word) !== null);

/** Replace the part of a search about `what` by another choice. */
export function withChoice(typed: string, what: "nodes" | "age", chosen: string): string {
  const others = typed.split(/\s+/).filter((word) => word !== "" && !isAbout(word, what));
  return [...others, chosen].filter(Boolean).join(" ");
}

/** Tell which choice a search contains; `null` for a custom one. */
export function choiceIn(typed: string, what: "nodes" | "age", choices: readonly Choice[]): string | null {
  const words = typed.split(/\s+/).filter((word) => isAbout(word, what));
  const found = choices.find((one) => one.typed === words.join(" ").toLowerCase());
  return found?.typed ?? null;
}
