import { useId, useState } from "react";

import { HEX } from "../../kinds";

interface Props {
  label: string;
  value: unknown;
  isMixed: boolean;
  onChange: (color: string | null) => void;
  onBlur: () => void;
}

const LONG = /^#[\da-f]{6}$/i;

/** Write a colour for the browser's colour picker. */
function long(hex: string): string {
  return LONG.test(hex) ? hex.toLowerCase() : `#${hex.slice(1).replaceAll(/./g, "$&$&")}`.toLowerCase();
}

/** A field for any colour, typed as `#rrggbb` or picked. An invalid colour stays in the field with an error. */
export function ColorField({ label, value, isMixed, onChange, onBlur }: Props) {
  const id = useId();
  const [typed, setTyped] = useState<string | null>(null);
  const known = typeof value === "string" ? value : "";
  const isFaulty = typed !== null && typed.trim() !== "" && !HEX.test(typed.trim());
  return (
    <div className={isFaulty ? "field faulty" : "field"}>
      <label htmlFor={id}>{label}</label>
      <span className="color-field">
        <input
          id={id}
          value={typed ?? known}
          placeholder={isMixed ? "Different values" : "#rrggbb"}
          aria-invalid={isFaulty}
          aria-describedby={`${id}-more`}
          spellCheck={false}
          onChange={({ target }) => {
            const color = target.value.trim();
            setTyped(target.value);
            if (color === "" || HEX.test(color)) {
              onChange(color === "" ? null : color);
            }
          }}
          onBlur={() => {
            if (!isFaulty) {
              setTyped(null);
            }
            onBlur();
          }}
          onKeyDown={(event) => {
            if (event.key === "Escape" && isFaulty) {
              event.stopPropagation();
              setTyped(null);
            }
          }}
        />
        <input
          type="color"
          aria-label={`Colour picker: ${label}`}
          title={`Colour picker: ${label}`}
          value={HEX.test(known) ? long(known) : "#888888"}
          onChange={({ target }) => {
            setTyped(null);
            onChange(target.value);
          }}
          onBlur={onBlur}
        />
      </span>
      <span id={`${id}-more`} className="more">{isFaulty && <span role="alert" className="fault">Enter # and 3 or 6 digits (0-9, a-f)</span>}</span>
    </div>
  );
}
