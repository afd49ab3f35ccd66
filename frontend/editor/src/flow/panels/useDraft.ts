/** The draft of a field: what is being typed, which may still be invalid. */

import { mergeTexts, same } from "helix-flows";
import { useState } from "react";

import type { Field } from "../../kinds";
import { inOrderOf, isPlain, read, written } from "./readings";

interface Draft {
  text: string;
  /** The field's value when the draft began. */
  first: unknown;
  /** The value that was last passed on or merged in; before that, the field's value. */
  seen: unknown;
  /** The field's last value. */
  held: unknown;
  /** Somebody else has set another value meanwhile, which the draft doesn't contain. */
  isStale: boolean;
}

interface DraftOptions {
  value: unknown;
  /** The selected elements have different values. */
  isMixed: boolean;
  onChange: (value: unknown, before: unknown, isText: boolean) => void;
}

export interface DraftResult {
  /** The text that the field shows. */
  text: string;
  /** Why it is invalid; `null` if it is valid. */
  fault: string | null;
  /** The value that somebody else has set, if it isn't shown. */
  other: string | null;
  write: (text: string) => void;
  /** Show the field's value, unless the typed text is invalid. */
  end: () => void;
  /** Show the field's value. */
  drop: () => void;
}

/** Merge somebody else's change into a draft; `null` if the field should show just that. */
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

/** Hold a field's draft, and pass on its valid values. */
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
