import type { LucideIcon } from "lucide-react";
import { useMemo, useState } from "react";

import { Dialog } from "../../ui/Dialog";
import { isInputMethods, keyWords } from "./keys";

export interface Choice {
  id: string;
  label: string;
  icon: LucideIcon;
  run: () => void;
  hint?: string;
  keys?: readonly string[];
  /** More words that it is found by. */
  words?: string;
}

interface Props {
  title: string;
  placeholder: string;
  choices: readonly Choice[];
  /** The text if there are none, or none match. */
  empty?: string;
  onClose: () => void;
}

const MOST = 50;

function matching(choices: readonly Choice[], typed: string): Choice[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const isMatch = ({ label, hint = "", words: more = "" }: Choice): boolean => {
    const text = `${label} ${hint} ${more}`.toLowerCase();
    return words.every((word) => text.includes(word));
  };
  const byLabel = (choice: Choice): number => (choice.label.toLowerCase().startsWith(typed.toLowerCase()) ? 0 : 1);
  return choices.filter(isMatch).toSorted((a, b) => byLabel(a) - byLabel(b)).slice(0, MOST);
}

/** A list to search: type letters, choose with the arrow keys, and press Enter. */
export function Choices({ title, placeholder, choices, empty = "No matches.", onClose }: Props) {
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const found = useMemo(() => matching(choices, typed), [choices, typed]);
  const active = Math.min(at, found.length - 1);
  const choose = (choice: Choice | undefined): void => {
    if (choice !== undefined) {
      onClose();
      choice.run();
    }
  };
  return (
    <Dialog title={title} isBare onClose={onClose}>
      <div className="find-box">
        <input
          autoFocus
          role="combobox"
          aria-label={title}
          aria-expanded
          aria-controls="choices"
          aria-activedescendant={found.length > 0 ? `choice-${active}` : undefined}
          placeholder={placeholder}
          value={typed}
          onChange={(event) => {
            setTyped(event.target.value);
            setAt(0);
          }}
          onKeyDown={(event) => {
            const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
            if (step !== undefined && !isInputMethods(event) && found.length > 0) {
              event.preventDefault();
              setAt((active + step + found.length) % found.length);
            } else if (event.key === "Enter" && !isInputMethods(event)) {
              event.preventDefault();
              choose(found[active]);
            }
          }}
        />
      </div>
      <ul className="choices" id="choices" role="listbox" aria-label={title}>
        {found.map((choice, n) => (
          <li
            key={choice.id}
            id={`choice-${n}`}
            role="option"
            aria-selected={n === active}
            ref={(element) => {
              if (n === active) {
                element?.scrollIntoView({ block: "nearest" });
              }
            }}
            onPointerMove={() => { setAt(n); }}
            onClick={() => { choose(choice); }}
          >
            <choice.icon size={16} aria-hidden />
            <span className="label">{choice.label}</span>
            <span className="end muted">
              {choice.hint}
              {keyWords(choice.keys?.[0] ?? "").filter(Boolean).map((key) => <kbd key={key}>{key}</kbd>)}
            </span>
          </li>
        ))}
      </ul>
      {found.length === 0 && <p className="body muted">{empty}</p>}
    </Dialog>
  );
}
