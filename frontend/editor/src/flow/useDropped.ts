/** What of one's changes was dropped, because somebody deleted meanwhile what they were made to. */

import type { Deletion, Dropped, FlowNode, SyncedFlow } from "helix-flows";
import { useEffect, useRef } from "react";

import { api } from "../api";
import { labelOf, textOf } from "../kinds";
import { ask, tell } from "../ui/Toasts";

/** Names that are told at most, and how long each may be. */
const MOST_NAMES = 2;
const NAME_LENGTH = 60;

function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1) ?? ""}`;
}

function quoted(name: string): string {
  const characters = Array.from(name);
  return `“${characters.length > NAME_LENGTH ? `${characters.slice(0, NAME_LENGTH - 1).join("")}…` : name}”`;
}

/** Say what a node or an edge that is gone was called. */
export function goneName({ kind, value }: Pick<Deletion, "kind" | "value">): string {
  if (kind === "nodes") {
    return quoted(labelOf(value as FlowNode));
  }
  const label = textOf((value as Record<string, unknown>)["label"]);
  return label === "" ? "an edge" : `the edge ${quoted(label)}`;
}

function atMost(names: readonly string[]): string[] {
  const more = names.length - MOST_NAMES;
  return more > 0 ? [...names.slice(0, MOST_NAMES), `${more} more`] : [...names];
}

/** Say who deleted what; `null` where that isn't known. */
function whatIsGone(deletions: readonly Deletion[]): string | null {
  if (deletions.length === 0) {
    return null;
  }
  const nodesFirst = deletions.toSorted((a, b) => Number(a.kind === "edges") - Number(b.kind === "edges"));
  const makers = [...new Set(deletions.map(({ by }) => by ?? "").filter(Boolean))];
  return `${listed(makers) || "Somebody"} deleted ${listed(atMost(nodesFirst.map(goneName)))}`;
}

/** How far back it is looked for who deleted something. */
const MOST_ENTRIES = 1_000;

/** Find out who deleted what, where one's own page didn't see it. */
async function withMakers({ flowId, state }: SyncedFlow, one: Dropped): Promise<Dropped> {
  if (one.deletions.every(({ by }) => by !== null)) {
    return one;
  }
  const since = Math.max(0, state.version - MOST_ENTRIES);
  const { entries } = await api.entries(flowId, since, MOST_ENTRIES).catch(() => ({ entries: [] }));
  const makerOf = ({ kind, id }: Deletion): string | null => {
    const found = entries.findLast(({ patch }) => (patch[kind] as Record<string, unknown> | undefined)?.[id] === null);
    return found?.by ?? null;
  };
  return { ...one, deletions: one.deletions.map((deletion) => ({ ...deletion, by: deletion.by ?? makerOf(deletion) })) };
}

/** Say what was dropped, and who deleted it. */
export function wordsForDropped({ paths, deletions }: Dropped): string {
  // An edge's end that is gone was connected, rather than edited.
  const isEdited = deletions.some(({ kind, id }) => {
    const path = `/${kind}/${id.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    return paths.some((one) => one === path || one.startsWith(`${path}/`));
  });
  const them = deletions.length === 1 ? "it" : "them";
  const gone = whatIsGone(deletions);
  return gone === null ? "Part of what you did isn't kept: what it was made to is gone." : `${gone} while you were ${isEdited ? "editing" : "connecting"} ${them}.`;
}

const PLACE = /^\/nodes\/([^/]+)\/(?:parentId|position)$/;

/** Say that nodes don't lie in what one has moved them in; `null` where something else was dropped, too. */
function wordsForPlaces({ state }: SyncedFlow, { paths }: Dropped): string | null {
  const ids = paths.map((path) => PLACE.exec(path)?.[1]?.replaceAll("~1", "/").replaceAll("~0", "~"));
  const names = [...new Set(ids)].map((id) => quoted(labelOf(state.document?.nodes[id ?? ""] ?? {})));
  const where = names.length === 1 ? "it lies" : "they lie";
  return ids.includes(undefined) ? null : `Others have deleted or moved the group in which you moved ${listed(atMost(names))}: see where ${where} now.`;
}

interface Question {
  one: Dropped;
  end: () => void;
}

/** Ask about everything that was dropped whether it is to be restored. */
export function useDropped(sync: SyncedFlow, dropped: readonly Dropped[], restore: (one: Dropped) => void): void {
  const latest = useRef(restore);
  const asked = useRef(new Map<string, Question>());
  useEffect(() => {
    latest.current = restore;
  }, [restore]);
  useEffect(() => {
    const wanted = new Map(dropped.map((one) => [one.paths.join(), one]));
    for (const [key, { end }] of asked.current) {
      if (!wanted.has(key)) {
        asked.current.delete(key);
        end();
      }
    }
    for (const [key, one] of wanted) {
      const places = wordsForPlaces(sync, one);
      if (places !== null) {
        tell(places);
        sync.dismiss(one.opId);
        continue;
      }
      const known = asked.current.get(key);
      if (known !== undefined) {
        // More of the same.
        known.one = one;
        continue;
      }
      const now = (): Dropped => asked.current.get(key)?.one ?? one;
      const leave = { label: "Leave it", run: () => { sync.dismiss(now().opId); } };
      const bringBack = { label: `Restore ${one.deletions.length === 1 ? "it" : "them"} with my changes`, run: () => { latest.current(now()); } };
      const question: Question = { one, end: () => undefined };
      asked.current.set(key, question);
      void withMakers(sync, one).then((told) => {
        if (asked.current.get(key) === question) {
          question.end = ask(wordsForDropped(told), one.deletions.length === 0 ? [leave] : [bringBack, leave]);
        }
      });
    }
  }, [sync, dropped]);
  useEffect(() => {
    const all = asked.current;
    return () => {
      for (const { end } of all.values()) {
        end();
      }
      all.clear();
    };
  }, [sync]);
}
