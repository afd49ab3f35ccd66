import { useState } from "react";

import { api, type NamedVersion, reasonOf } from "../../api";
import { Dialog } from "../../ui/Dialog";
import { tell } from "../../ui/Toasts";

/** The server's limit. */
const LONGEST = 120;

interface Props {
  flowId: string;
  version: number;
  named: NamedVersion | undefined;
  onClose: () => void;
}

/** The dialog that names, renames or unnames a version. */
export function VersionName({ flowId, version, named, onClose }: Props) {
  const [name, setName] = useState(named?.name ?? "");
  const finish = (what: Promise<unknown>): void => {
    what.catch((error: unknown) => { tell(`Couldn't name the version: ${reasonOf(error)}`); });
    onClose();
  };
  return (
    <Dialog title={`Name of version ${version}`} onClose={onClose}>
      <form
        className="body"
        onSubmit={(event) => {
          event.preventDefault();
          if (name.trim() !== "") {
            finish(api.nameVersion(flowId, version, name.trim()));
          }
        }}
      >
        <label className="field">
          <span>Name that everybody sees</span>
          <input maxLength={LONGEST} value={name} onChange={(event) => { setName(event.target.value); }} />
        </label>
        <p className="row end-row">
          {named !== undefined && (
            <button
              type="button"
              className="button"
              onClick={() => { finish(api.unnameVersion(flowId, version)); }}
            >
              Remove the name
            </button>
          )}
          <button className="button primary">Save</button>
        </p>
      </form>
    </Dialog>
  );
}
