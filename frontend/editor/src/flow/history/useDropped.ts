/** Questions about one's own changes that were dropped because somebody deleted their target. */

import { type Deletion, type Dropped, type FlowNode, own, type SyncedFlow } from "helix-flows";
import { useEffect, useRef } from "react";

import { api } from "../../api";
import { labelOf, shortOf } from "../../kinds";
import { ask, tell } from "../../ui/Toasts";

/** The most names in a text, and the longest name. */
const MOST_NAMES = 2;
const NAME_LENGTH = 60;

function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1) ?? ""}`;
}

function quoted(name: string): string {
  const characters = Array.from(name);
  return `“${characters.length > NAME_LENGTH ? `${characters.slice(0, NAME_LENGTH - 1).join("")}…` : name}”`;
}

/** Give the name of a deleted node or edge. */
function goneName({ kind, value }: Pick<Deletion, "kind" | "value">): string {
  if (kind === "nodes") {
    return quoted(labelOf(value as FlowNode));
  }
  const label = shortOf((value as Record<string, unknown>)["label"]);
  return label === "" ? "an edge" : `the edge ${quoted(label)}`;
}

function atMost(names: readonly string[]): string[] {
  const more = names.length - MOST_NAMES;
  return more > 0 ? [...names.slice(0, MOST_NAMES), `${more} more`] : [...names];
}

/** List the deleted targets of dropped changes, nodes first. */
function deletionsOf(all: readonly Dropped[]): Deletion[] {
  const byMember = new Map(all.flatMap((one) => one.deletions).map((deletion) => [`${deletion.kind} ${deletion.id}`, deletion]));
  return [...byMember.values()].toSorted((a, b) => Number(a.kind === "edges") - Number(b.kind === "edges"));
}

/** List the names of deleted targets. */
export function goneNames(all: readonly Dropped[]): string {
  return listed(atMost(deletionsOf(all).map(goneName)));
}

/** How many entries are searched for who deleted something. */
const MOST_ENTRIES = 1_000;

/** Find out who deleted what, if this page didn't see it. */
async function withMakers({ flowId, state }: SyncedFlow, all: readonly Dropped[]): Promise<readonly Dropped[]> {
  if (deletionsOf(all).every(({ by }) => by !== null)) {
    return all;
  }
  const since = Math.max(0, state.version - MOST_ENTRIES);
  const { entries } = await api.entries(flowId, since, MOST_ENTRIES).catch(() => ({ entries: [] }));
  const makerOf = ({ kind, id }: Deletion): string | null => {
    const found = entries.findLast(({ patch }) => own(patch[kind] as Record<string, unknown> | undefined, id) === null);
    return found?.by ?? null;
  };
  return all.map((one) => ({ ...one, deletions: one.deletions.map((deletion) => ({ ...deletion, by: deletion.by ?? makerOf(deletion) })) }));
}

/** Tell whether changes of the target itself were dropped, rather than an edge to it. */
function isEdited({ paths, deletions }: Dropped): boolean {
  return deletions.some(({ kind, id }) => {
    const path = `/${kind}/${id.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    return paths.some((one) => one === path || one.startsWith(`${path}/`));
  });
}

/** Write what was deleted, and by whom. */
function wordsForDropped(all: readonly Dropped[]): string {
  const deletions = deletionsOf(all);
  if (deletions.length === 0) {
    return "Part of your change wasn't applied: what it belonged to was deleted.";
  }
  const makers = [...new Set(deletions.map(({ by }) => by ?? "").filter(Boolean))];
  const them = deletions.length === 1 ? "it" : "them";
  return `${listed(makers) || "Somebody"} deleted ${goneNames(all)} while you were ${all.some(isEdited) ? "editing" : "connecting"} ${them}.`;
}

const PLACE = /^\/nodes\/([^/]+)\/(?:parentId|position)$/;

/** Write that moves were dropped because the group is gone or moved; `null` if other changes were dropped, too. */
function wordsForPlaces({ state }: SyncedFlow, { paths }: Dropped): string | null {
  const ids = paths.map((path) => PLACE.exec(path)?.[1]?.replaceAll("~1", "/").replaceAll("~0", "~"));
  const names = [...new Set(ids)].map((id) => quoted(labelOf(own(state.document?.nodes, id ?? "") ?? {})));
  const [them, where] = names.length === 1 ? ["it", "it is"] : ["them", "they are"];
  return ids.includes(undefined) ? null : `Others deleted or moved the group around ${listed(atMost(names))} while you moved ${them}. Check where ${where} now.`;
}

/** One question about all dropped changes that can be restored, or about all that can't. */
interface Question {
  all: readonly Dropped[];
  /** The same for questions about the same changes. */
  key: string;
  end: () => void;
}

/** Tell whether changes can be restored: their deleted target is known. */
export function isRestorable({ deletions }: Dropped): boolean {
  return deletions.length > 0;
}

/** Ask once whether to restore all dropped changes: it may be an hour's work. */
export function useDropped(sync: SyncedFlow, dropped: readonly Dropped[], restore: (all: readonly Dropped[]) => void): void {
  const latest = useRef(restore);
  const asked = useRef(new Map<boolean, Question>());
  useEffect(() => {
    latest.current = restore;
  }, [restore]);
  useEffect(() => {
    const misplaced = new Map(dropped.map((one) => [one, wordsForPlaces(sync, one)]));
    for (const [one, words] of misplaced) {
      if (words !== null) {
        tell(words);
        sync.dismiss(one);
      }
    }
    const rest = dropped.filter((one) => misplaced.get(one) === null);
    for (const canRestore of [true, false]) {
      const all = rest.filter((one) => isRestorable(one) === canRestore);
      const key = all.map(({ paths }) => paths.join()).toSorted().join(" ");
      const before = asked.current.get(canRestore);
      if (before !== undefined && before.key === key) {
        // At most more of the same.
        before.all = all;
        continue;
      }
      asked.current.delete(canRestore);
      before?.end();
      if (all.length > 0) {
        const question: Question = { all, key, end: () => undefined };
        asked.current.set(canRestore, question);
        const bringBack = { label: `Restore ${deletionsOf(all).length === 1 ? "it" : "them"} with my changes`, run: () => { latest.current(question.all); } };
        const leave = { label: "Leave it", run: () => { question.all.forEach((one) => { sync.dismiss(one); }); } };
        void withMakers(sync, all).then((told) => {
          if (asked.current.get(canRestore) === question) {
            question.end = ask(wordsForDropped(told), canRestore ? [bringBack, leave] : [leave]);
          }
        });
      }
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
