import type { FlowDocument, Member } from "helix-flows";

import { type Field, kindOfNode, labelOf } from "../../kinds";
import { editedBy, Editing } from "../people/Editing";

interface LinksProps {
  field: Field;
  value: unknown;
  isMixed: boolean;
  document: FlowDocument | null;
  /** Somebody else who is editing it. */
  editor: Member | undefined;
  onChange: (value: unknown) => void;
  onFocus: () => void;
  onBlur: () => void;
}

/** The most nodes to choose from. */
const MOST_LISTED = 500;

/** The most chosen nodes that are listed though the flow doesn't have them. */
const MOST_GONE = 100;

/** A field to choose nodes of some kinds. The chosen ones are stored by id. */
export function LinksField({ field, value, isMixed, document, editor, onChange, onFocus, onBlur }: LinksProps) {
  const chosen = Array.isArray(value) ? (value as unknown[]).filter((one) => typeof one === "string") : [];
  const found = Object.values(document?.nodes ?? {}).filter((node) => field.kinds?.includes(kindOfNode(node).type));
  const names = new Map(found.map((node) => [node.id, labelOf(node)]));
  const isChosen = new Set(chosen);
  const gone = [...isChosen].filter((id) => !names.has(id));
  const sorted = [...names].toSorted(([, a], [, b]) => a.localeCompare(b));
  // Of too many, the chosen ones come first.
  const listed = sorted.length > MOST_LISTED ? sorted.toSorted(([a], [b]) => Number(isChosen.has(b)) - Number(isChosen.has(a))).slice(0, MOST_LISTED) : sorted;
  return (
    <fieldset {...editedBy("field links", editor)} onFocus={onFocus} onBlur={onBlur}>
      <legend>{field.label}</legend>
      {isMixed && <p className="muted">Different values</p>}
      {[...listed, ...gone.slice(0, MOST_GONE).map((id) => [id, `Not in this flow: ${id}`] as const)].map(([id, name]) => (
        <label key={id}>
          <input
            type="checkbox"
            checked={isChosen.has(id)}
            onChange={({ target }) => {
              const others = chosen.filter((one) => one !== id);
              onChange(target.checked ? [...others, id] : others.length === 0 ? null : others);
            }}
          />
          <span>{name}</span>
        </label>
      ))}
      {sorted.length > listed.length && <p className="muted">{sorted.length - listed.length} more can't be chosen here.</p>}
      {gone.length > MOST_GONE && <p className="muted">{gone.length - MOST_GONE} more that are not in this flow</p>}
      {names.size === 0 && gone.length === 0 && <p className="muted">This flow has none yet.</p>}
      {field.help !== undefined && <span className="help">{field.help}</span>}
      <Editing editor={editor} />
    </fieldset>
  );
}
