import type { FlowDocument, FlowStatus, JsonObject } from "helix-flows";

import { flowPath, go } from "../address";
import { api, reasonOf } from "../api";
import { tell } from "../ui/Toasts";

/** Says why the flow can't be edited any more, and offers a copy of what is shown. */
export function Closed({ status, document }: { status: FlowStatus; document: FlowDocument | null }) {
  const isDeleted = status.error?.code === "flow_deleted";
  const copy = (source: FlowDocument): void => {
    const named: JsonObject = { ...source, title: `${source.title} (Copy)` };
    api.create({ document: named }).then(
      ({ id }) => { go(flowPath(id)); },
      (error: unknown) => { tell(`Couldn't make a copy: ${reasonOf(error)}`); },
    );
  };
  return (
    <section className="closed panel" role="alertdialog" aria-label="This flow is closed">
      <h2>{isDeleted ? "Somebody deleted this flow" : "This flow is closed"}</h2>
      <p className="muted">
        {isDeleted
          ? "What you see is still here, with your latest changes. You can keep it as a new flow."
          : (status.error?.reason ?? "The server closed it.")}
      </p>
      <div className="row">
        {document !== null && (
          <button className="button primary" onClick={() => { copy(document); }}>Keep a copy</button>
        )}
        <a className="button" href="/">All flows</a>
      </div>
    </section>
  );
}
