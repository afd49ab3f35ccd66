import type { Unsent, UnsentFlow } from "helix-flows";

import { flowPath, follow } from "../address";
import { download } from "../files";
import { saveDocument } from "../opened";
import { tell } from "../ui/Toasts";
import { numbered } from "../words";

/** Lists unsent changes that the server refuses, and offers to save or discard them. */
export function UnsentOffer({ unsent, flows }: { unsent: Unsent; flows: readonly UnsentFlow[] }) {
  const refused = flows.filter(({ error }) => error !== null && error.code !== null);
  return refused.map((flow) => <Offer key={flow.flowId} unsent={unsent} flow={flow} />);
}

function Offer({ unsent, flow: { flowId, title, count, error } }: { unsent: Unsent; flow: UnsentFlow }) {
  const name = title || "Untitled flow";
  const changes = numbered(count, "unsent change");
  const save = async (): Promise<void> => {
    const document = await unsent.document(flowId);
    if (document === null) {
      download("unsent.json", new Blob([JSON.stringify(await unsent.changes(flowId))], { type: "application/json" }));
    } else {
      saveDocument(document);
    }
  };
  const discard = async (): Promise<void> => {
    const putBack = await unsent.discard(flowId);
    tell(`Discarded ${changes} of “${name}”.`, { label: "Undo", run: putBack });
  };
  return (
    <aside className="offer unsent" aria-label={`Unsent changes of ${name}`}>
      <span>
        <a href={flowPath(flowId)} onClick={follow}>{name}</a> has {changes} that can't be sent. {error?.reason}.
      </span>
      <span className="row">
        <button className="button" onClick={() => void discard()}>Discard</button>
        <button className="button primary" onClick={() => void save()}>Save as a file</button>
      </span>
    </aside>
  );
}
