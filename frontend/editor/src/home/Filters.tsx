import { AGES, type Choice, choiceIn, SIZES, withChoice } from "./query";

interface Props {
  search: string;
  onSearch: (text: string) => void;
}

const BOTH = [
  { what: "nodes", label: "Size", choices: SIZES },
  { what: "age", label: "Changed", choices: AGES },
] as const;

/** Filters flows by their number of nodes and their last change. A choice is also written into the search. */
export function Filters({ search, onSearch }: Props) {
  return (
    <div className="filters">
      {BOTH.map(({ what, label, choices }) => {
        const chosen = choiceIn(search, what, choices);
        const all: readonly Choice[] = chosen === null ? [...choices, { label: "Custom", typed: "typed" }] : choices;
        return (
          <div key={what} className="field">
            <select
              aria-label={label}
              value={chosen ?? "typed"}
              onChange={({ target: { value } }) => {
                if (value !== "typed") {
                  onSearch(withChoice(search, what, value));
                }
              }}
            >
              {all.map(({ label: name, typed }) => <option key={typed} value={typed}>{name}</option>)}
            </select>
          </div>
        );
      })}
    </div>
  );
}
