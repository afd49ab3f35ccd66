import type { Member } from "helix-flows";
import { useText } from "helix-flows/react";
import { useId } from "react";

import { type Field, textOf } from "../../kinds";
import { isInputMethods } from "../commands/keys";
import { editedBy, Editing } from "../people/Editing";
import { useDraft } from "./useDraft";

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
   * @param isText it is a text in which others may write at the same time.
   */
  onChange: (value: unknown, before: unknown, isText: boolean) => void;
  onFocus?: () => void;
  onBlur?: () => void;
}

/** Say that there is nothing in a field, and what counts then. */
export function unset({ fallback, names }: Field): string {
  return fallback === undefined ? "Not set" : `Default: ${names?.get(textOf(fallback)) ?? textOf(fallback)}`;
}

/** One field of what is selected. */
export function PropertyField(props: Props) {
  return typeof props.field.form === "object" ? <Choice {...props} /> : <Written {...props} />;
}

/** A field of which one chooses what it holds. */
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

/** A field in which one writes, while others may write in it as well. */
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
      // What can't be kept stays, with why, until it can.
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
  /** Why what is written can't be kept. */
  fault?: string | null;
  /** What somebody else has set it to meanwhile. */
  other?: string | null;
  children: React.ReactNode;
}

/** A field's name, what it is edited by, and what is to be said of it. */
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
