import type { Member } from "helix-flows";
import { useId, useState } from "react";

import { type Field, textOf } from "../kinds";
import { faultIn } from "./values";

interface Props {
  field: Field;
  value: unknown;
  /** Those that are selected differ. */
  isMixed: boolean;
  /** What stands in it while it is empty. */
  placeholder?: string;
  isDisabled?: boolean;
  /** Somebody else who is editing it. */
  editor?: Member | undefined;
  /**
   * @param value `null` where there is to be none.
   * @param before what the field held until now, as far as its writer knew.
   */
  onChange: (value: unknown, before: unknown) => void;
  onFocus?: () => void;
  onBlur?: () => void;
}

/** What was read of a field: a value, or why there is none yet. */
type Reading = { value: unknown } | { fault: string };

/** What is being typed. */
interface Draft {
  text: string;
  /** What the field held when it was begun. */
  first: unknown;
  /** What of it was given on last; until then what the field held. */
  given: unknown;
}

/** Write a value as it is edited. */
function written({ form }: Field, value: unknown): string {
  if (form === "list" && Array.isArray(value)) {
    return value.map(textOf).join("\n");
  }
  return form === "json" && typeof value !== "string" && value !== undefined ? JSON.stringify(value, null, 1) : textOf(value);
}

function readNumber({ isOptional, isWhole, range: [least, most] = [-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER] }: Field, text: string): Reading {
  const number = Number(text);
  if (text.trim() === "") {
    return isOptional === true ? { value: null } : { fault: "A number is needed" };
  }
  if (!Number.isFinite(number)) {
    return { fault: "Not a number yet" };
  }
  if (number < least || number > most) {
    return { fault: number < least ? `At least ${least}` : `At most ${most}` };
  }
  return isWhole === true && !Number.isInteger(number) ? { fault: "A whole number is needed" } : { value: number };
}

/** Read JSON; what no document holds is a fault. */
function readJson(text: string): Reading {
  try {
    const value = JSON.parse(text) as unknown;
    const fault = faultIn(value);
    return fault === null ? { value } : { fault };
  } catch (error) {
    return { fault: `Not JSON yet: ${error instanceof Error ? error.message : ""}` };
  }
}

/** Read what was edited, where the field held `first` before. */
function read(field: Field, text: string, first: unknown): Reading {
  if (field.form === "list") {
    return { value: text.split("\n").filter((line) => line.trim() !== "") };
  }
  if (field.form === "number") {
    return readNumber(field, text);
  }
  if (field.form === "json" && /^\s*[[{]/.test(text)) {
    return readJson(text);
  }
  if (field.form === "json" && (typeof first === "number" || typeof first === "boolean")) {
    // What was a number stays one, if it can.
    const reading = readJson(text);
    return "value" in reading ? reading : { value: text };
  }
  return { value: text };
}

/** Say that there is nothing in a field, and what counts then. */
export function unset({ fallback, names }: Field): string {
  return fallback === undefined ? "Not set" : `Not set: ${names?.get(textOf(fallback)) ?? textOf(fallback)}`;
}

/** One field of what is selected. */
export function PropertyField({ field, value, isMixed, placeholder = "", isDisabled = false, editor, onChange, onFocus, onBlur }: Props) {
  const id = useId();
  // What is being typed may be nothing that can be kept: half a number, a list's empty last line.
  const [draft, setDraft] = useState<Draft | null>(null);
  const reading = draft === null ? null : read(field, draft.text, draft.first);
  const fault = reading !== null && "fault" in reading ? reading.fault : null;
  const { form, label, names } = field;
  const controls = {
    id,
    value: draft?.text ?? written(field, value),
    placeholder: isMixed ? "Different values" : placeholder || textOf(field.fallback),
    disabled: isDisabled,
    "aria-invalid": fault !== null,
    "aria-describedby": `${id}-more`,
    onChange: ({ target }: { target: { value: string } }) => {
      const { first, given } = draft ?? { first: value, given: value };
      const now = read(field, target.value, first);
      if ("value" in now) {
        onChange(now.value, given);
      }
      setDraft({ text: target.value, first, given: "value" in now ? now.value : given });
    },
    onFocus,
    onBlur: () => {
      // What can't be kept stays, with why, until it can.
      if (fault === null) {
        setDraft(null);
      }
      onBlur?.();
    },
    onKeyDown: (event: React.KeyboardEvent) => {
      if (event.key === "Escape" && fault !== null) {
        event.stopPropagation();
        setDraft(null);
      }
    },
  };
  const isLong = form === "text" || form === "code" || form === "list" || form === "json";
  return (
    <div
      className={`field${editor === undefined ? "" : " edited"}${fault === null ? "" : " faulty"}`}
      style={editor === undefined ? {} : ({ "--by": editor.color } as React.CSSProperties)}
    >
      <label htmlFor={id}>{form === "list" ? `${label}, one a line` : label}</label>
      {typeof form === "object" ? (
        <select {...controls}>
          {[...new Set([...(isMixed || field.isOptional !== false ? [""] : []), ...form, textOf(value)])].map((option) => (
            <option key={option} value={option} disabled={option === "" && field.isOptional === false}>
              {(names?.get(option) ?? option) || (isMixed ? "Different values" : unset(field))}
            </option>
          ))}
        </select>
      ) : isLong ? (
        <textarea {...controls} className={form === "text" ? "" : "mono"} rows={form === "code" ? 1 : form === "list" ? 3 : 2} spellCheck={form === "text"} />
      ) : (
        <input {...controls} inputMode={form === "number" ? "decimal" : "text"} {...(field.suggestions === undefined ? {} : { list: `${id}-list` })} />
      )}
      {field.suggestions !== undefined && (
        <datalist id={`${id}-list`}>
          {field.suggestions.map((text) => <option key={text} value={text} />)}
        </datalist>
      )}
      <span id={`${id}-more`} className="more">
        {field.help !== undefined && <span className="help">{field.help}</span>}
        {fault !== null && <span role="alert" className="fault">{fault}</span>}
        {editor !== undefined && (
          <span className="other-edits">
            <b>{editor.name}</b> is editing this
          </span>
        )}
      </span>
    </div>
  );
}
