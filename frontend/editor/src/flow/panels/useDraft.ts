/** What is being typed in a field, which may be nothing that can be kept yet. */

import { mergeTexts, same } from "helix-flows";
import { useState } from "react";

import type { Field } from "../../kinds";
import { inOrderOf, isPlain, read, written } from "./readings";

interface Draft {
  text: string;
  /** What the field held when it was begun. */
  first: unknown;
  /** What of it was given on last, or what has come into it since; until then what the field held. */
  seen: unknown;
  /** What the field has held last. */
  held: unknown;
  /** Somebody else has set it meanwhile, which isn't in what is typed. */
  isStale: boolean;
}

interface DraftOptions {
  value: unknown;
  /** Those that are selected differ. */
  isMixed: boolean;
  onChange: (value: unknown, before: unknown, isText: boolean) => void;
}

export interface DraftResult {
  /** What the field shows. */
  text: string;
  /** Why that can't be kept; `null` where it can. */
  fault: string | null;
  /** What somebody else has set it to, where that isn't shown. */
  other: string | null;
  write: (text: string) => void;
  /** Show what the field holds, unless what is typed can't be kept. */
  end: () => void;
  /** Show what the field holds. */
  drop: () => void;
}

/** Take in what somebody else has made of what one types in; `null` where the field is to show just that. */
function follow(field: Field, draft: Draft, value: unknown): Draft | null {
  const { first, seen } = draft;
  const theirs = written(field, inOrderOf(seen, value));
  const { text, isConflict } = mergeTexts(written(field, seen), theirs, draft.text);
  const reading = read(field, text, first);
  if ("value" in read(field, draft.text, first)) {
    const isAll = field.form !== "number" && "value" in reading && same(reading.value, value);
    return isAll ? { ...draft, text, seen: value, held: value } : null;
  }
  return field.form === "number" || isConflict
    ? { ...draft, held: value, isStale: true }
    : { ...draft, text, seen: value, held: value };
}

/** Hold what is typed in a field, and give on what can be kept. */
export function useDraft(field: Field, { value, isMixed, onChange }: DraftOptions): DraftResult {
  const [draft, setDraft] = useState<Draft | null>(null);
  if (draft !== null && !isMixed && !isPlain(field) && !same(draft.held, value)) {
    setDraft(follow(field, draft, value));
  }
  const reading = draft === null ? null : read(field, draft.text, draft.first);
  const fault = reading !== null && "fault" in reading ? reading.fault : null;
  return {
    text: draft?.text ?? written(field, value),
    fault,
    other: draft?.isStale === true && fault !== null ? written(field, value) : null,
    write: (text) => {
      if (isPlain(field)) {
        onChange(text, value, true);
        return;
      }
      const { first, seen } = draft ?? { first: value, seen: value };
      const now = read(field, text, first);
      if ("value" in now) {
        onChange(now.value, seen, field.form === "json" && typeof now.value === "string");
      }
      const given = "value" in now ? (now.value ?? undefined) : seen;
      setDraft({ text, first, seen: given, held: "value" in now ? given : value, isStale: "fault" in now && draft?.isStale === true });
    },
    end: () => {
      if (fault === null) {
        setDraft(null);
      }
    },
    drop: () => {
      setDraft(null);
    },
  };
}
