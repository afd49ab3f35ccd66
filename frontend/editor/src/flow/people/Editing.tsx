import type { Member } from "helix-flows";
import type { CSSProperties } from "react";

/** Give the class names and the style of a field that somebody else may be editing. */
export function editedBy(name: string, editor: Member | undefined): { className: string; style?: CSSProperties } {
  return editor === undefined ? { className: name } : { className: `${name} edited`, style: { "--by": editor.color } as CSSProperties };
}

/** Says who else is editing a field. */
export function Editing({ editor }: { editor: Member | undefined }) {
  return editor === undefined ? null : (
    <span className="other-edits">
      <b>{editor.name}</b> is editing this
    </span>
  );
}
