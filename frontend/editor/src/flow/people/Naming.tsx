import { useState } from "react";

import { thePerson } from "../../person";
import { Dialog } from "../../ui/Dialog";

interface Props {
  onName: (name: string) => void;
  onClose: () => void;
}

const LONGEST = 60;

/** The dialog for the user's name. */
export function Naming({ onName, onClose }: Props) {
  const [name, setName] = useState(() => thePerson().name);
  return (
    <Dialog title="Your name" onClose={onClose}>
      <form
        className="body"
        onSubmit={(event) => {
          event.preventDefault();
          if (name.trim() !== "") {
            onName(name.trim());
            onClose();
          }
        }}
      >
        <label className="field">
          <span>Name that others see</span>
          <input maxLength={LONGEST} value={name} onChange={(event) => { setName(event.target.value); }} />
        </label>
        <p className="row end-row">
          <button className="button primary">Save</button>
        </p>
      </form>
    </Dialog>
  );
}
