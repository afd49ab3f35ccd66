import type { Member } from "helix-flows";
import { useId, useState } from "react";

import { type Field, textOf } from "../kinds";

interface Props {
  field: Field;
  value: unknown;
  /** Those that are selected differ. */
  isMixed: boolean;
  /** Somebody else who is editing it. */
  editor?: Member | undefined;
  onChange: (value: unknown) => void;
  onFocus?: () => void;
  onBlur?: () => void;
}

/** Write a value as it is edited. */
function written({ form }: Field, value: unknown): string {
  if (form === "list" && Array.isArray(value)) {
    return value.map(textOf).join("\n");
  }
  return form === "json" && typeof value !== "string" && value !== undefined ? JSON.stringify(value, null, 1) : textOf(value);
}

/** Read what was edited; `undefined` for what can't be yet. */
function read({ form }: Field, text: string): unknown {
  if (form === "list") {
    return text.split("\n").filter((line) => line.trim() !== "");
  }
  if (form === "number") {
    return text.trim() === "" || !Number.isFinite(Number(text)) ? undefined : Number(text);
  }
  if (form === "json" && /^\s*[[{]/.test(text)) {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      return undefined;
    }
  }
  return text;
}

/** One field of what is selected. */
export function PropertyField({ field, value, isMixed, editor, onChange, onFocus, onBlur }: Props) {
  const id = useId();
  // What is being typed may be nothing that can be kept: half a number, a list's empty last line.
  const [draft, setDraft] = useState<string | null>(null);
  const isUnreadable = draft !== null && read(field, draft) === undefined;
  const controls = {
    id,
    value: draft ?? written(field, value),
    placeholder: isMixed ? "Different values" : "",
    "aria-invalid": isUnreadable,
    onChange: ({ target }: { target: { value: string } }) => {
      setDraft(target.value);
      const now = read(field, target.value);
      if (now !== undefined) {
        onChange(now);
      }
    },
    onFocus,
    onBlur: () => {
      setDraft(null);
      onBlur?.();
    },
  };
  const { form } = field;
  const isLong = form === "text" || form === "code" || form === "list" || form === "json";
  return (
    <div
      className={editor === undefined ? "field" : "field edited"}
      style={editor === undefined ? {} : ({ "--by": editor.color } as React.CSSProperties)}
    >
      <label htmlFor={id}>{form === "list" ? `${field.label}, one a line` : field.label}</label>
      {typeof form === "object" ? (
        <select {...controls}>
          {[...new Set(["", ...form, textOf(value)])].map((option) => (
            <option key={option} value={option}>{option || (isMixed ? "Different values" : "Not set")}</option>
          ))}
        </select>
      ) : isLong ? (
        <textarea {...controls} className={form === "text" ? "" : "mono"} rows={form === "code" ? 2 : 3} spellCheck={form === "text"} />
      ) : (
        <input {...controls} inputMode={form === "number" ? "decimal" : "text"} />
      )}
      {isUnreadable && <span role="alert">{form === "number" ? "Not a number yet" : "Not JSON yet"}</span>}
      {editor !== undefined && (
        <span className="other-edits">
          <b>{editor.name}</b> is editing this
        </span>
      )}
    </div>
  );
}
