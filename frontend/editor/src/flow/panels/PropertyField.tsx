import type { Member } from "helix-flows";
import { useText } from "helix-flows/react";
import { useId } from "react";

import { type Field, textOf } from "../../kinds";
import { AsJson } from "../../ui/AsJson";
import { isInputMethods } from "../commands/keys";
import { editedBy, Editing } from "../people/Editing";
import { useDraft } from "./useDraft";

interface Props {
  field: Field;
  value: unknown;
  /** The selected elements have different values. */
  isMixed: boolean;
  /** Shown while the field is empty. */
  placeholder?: string;
  isDisabled?: boolean;
  /** Somebody else who is editing it. */
  editor?: Member | undefined;
  /**
   * @param value the new value; `null` for none.
   * @param before the value until now, as far as its writer knew.
   * @param isText whether it is a text that others may edit at the same time.
   */
  onChange: (value: unknown, before: unknown, isText: boolean) => void;
  onFocus?: () => void;
  onBlur?: () => void;
}

/** Write that a field is empty, and its default. */
export function unset({ fallback, names }: Field): string {
  return fallback === undefined ? "Not set" : `Default: ${names?.get(textOf(fallback)) ?? textOf(fallback)}`;
}

/** The longest text of a value that can be edited, in characters: the server takes no change with a longer one. */
const LONGEST = 300_000;

/** One field of the selection. */
export function PropertyField(props: Props) {
  if (textOf(props.value).length > LONGEST) {
    return <TooLong {...props} />;
  }
  return typeof props.field.form === "object" ? <Choice {...props} /> : <Written {...props} />;
}

/** A field with more text than a page can edit. */
function TooLong({ field, value, editor }: Props) {
  const id = useId();
  return (
    <Frame id={id} field={field} editor={editor}>
      <output id={id} className="muted">This is too long to be edited here.</output>
      <AsJson value={value} />
    </Frame>
  );
}

/** A field with a choice of values. */
function Choice({ field, value, isMixed, isDisabled = false, editor, onChange, onFocus, onBlur }: Props) {
  const id = useId();
  const { form, names, isOptional } = field;
  const options = typeof form === "object" ? form : [];
  return (
    <Frame id={id} field={field} editor={editor}>
      <select
        id={id}
        value={textOf(value)}
        disabled={isDisabled}
        aria-describedby={`${id}-more`}
        onChange={({ target }) => { onChange(target.value, value, false); }}
        onFocus={onFocus}
        onBlur={onBlur}
      >
        {[...new Set([...(isMixed || isOptional !== false ? [""] : []), ...options, textOf(value)])].map((option) => (
          <option key={option} value={option} disabled={option === "" && isOptional === false}>
            {(names?.get(option) ?? option) || (isMixed ? "Different values" : unset(field))}
          </option>
        ))}
      </select>
    </Frame>
  );
}

/** A field to type in, which others may edit at the same time. */
function Written({ field, value, isMixed, placeholder = "", isDisabled = false, editor, onChange, onFocus, onBlur }: Props) {
  const id = useId();
  const draft = useDraft(field, { value, isMixed, onChange });
  const { field: text } = useText<HTMLInputElement & HTMLTextAreaElement>(draft.text, draft.write);
  const { form } = field;
  const controls = {
    ...text,
    id,
    placeholder: isMixed ? "Different values" : placeholder || textOf(field.fallback),
    disabled: isDisabled,
    "aria-invalid": draft.fault !== null,
    "aria-describedby": `${id}-more`,
    onFocus: () => {
      text.onFocus();
      onFocus?.();
    },
    onBlur: () => {
      // An invalid value stays, with its error, until it is valid.
      text.onBlur();
      draft.end();
      onBlur?.();
    },
    onKeyDown: (event: React.KeyboardEvent) => {
      if (event.key === "Escape" && (draft.fault !== null || isInputMethods(event))) {
        event.stopPropagation();
        if (!isInputMethods(event)) {
          draft.drop();
        }
      }
    },
  };
  const isLong = form === "text" || form === "code" || form === "list" || form === "json";
  return (
    <Frame id={id} field={field} editor={editor} fault={draft.fault} other={draft.other}>
      {isLong ? (
        <textarea {...controls} className={form === "text" ? "" : "mono"} rows={form === "code" ? 1 : form === "list" ? 3 : 2} spellCheck={form === "text"} />
      ) : (
        <input {...controls} inputMode={form === "number" ? "decimal" : "text"} {...(field.suggestions === undefined ? {} : { list: `${id}-list` })} />
      )}
      {field.suggestions !== undefined && (
        <datalist id={`${id}-list`}>
          {field.suggestions.map((one) => <option key={one} value={one} />)}
        </datalist>
      )}
    </Frame>
  );
}

interface FrameProps {
  id: string;
  field: Field;
  editor: Member | undefined;
  /** Why the typed value is invalid. */
  fault?: string | null;
  /** The value that somebody else has set meanwhile. */
  other?: string | null;
  children: React.ReactNode;
}

/** A field's label, its control, and messages about it. */
function Frame({ id, field: { form, label, help }, editor, fault = null, other = null, children }: FrameProps) {
  return (
    <div {...editedBy(fault === null ? "field" : "field faulty", editor)}>
      <label htmlFor={id}>{form === "list" ? `${label}, one per line` : label}</label>
      {children}
      <span id={`${id}-more`} className="more">
        {help !== undefined && <span className="help">{help}</span>}
        {fault !== null && <span role="alert" className="fault">{fault}</span>}
        {other !== null && <span className="other-edits">Somebody else set it to {other || "nothing"}</span>}
        <Editing editor={editor} />
      </span>
    </div>
  );
}
