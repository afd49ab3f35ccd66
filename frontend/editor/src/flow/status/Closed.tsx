import type { FlowDocument, FlowStatus, JsonObject } from "helix-flows";
import { useEffect, useRef } from "react";

import { flowPath, follow, go } from "../../address";
import { api, reasonOf } from "../../api";
import { saveDocument } from "../../opened";
import { tell } from "../../ui/Toasts";
import { wordsFor } from "./Status";

function copy(document: FlowDocument): void {
  const named: JsonObject = { ...document, title: `${document.title} (Copy)`.trim() };
  api.create({ document: named }).then(
    ({ id }) => { go(flowPath(id)); },
    (error: unknown) => { tell(`Couldn't make a copy: ${reasonOf(error)}`); },
  );
}

/** Says why the flow is closed, and offers a copy of what is shown. */
export function Closed({ status: { error }, document }: { status: FlowStatus; document: FlowDocument | null }) {
  const isDeleted = error?.code === "flow_deleted";
  const section = useRef<HTMLElement>(null);
  // The focus moves here, so that further typing presses nothing, and screen readers notice it.
  useEffect(() => { section.current?.focus({ preventScroll: true }); }, []);
  const why = error === null ? "The server closed it." : wordsFor(error);
  return (
    <section ref={section} tabIndex={-1} className="closed panel" role="alertdialog" aria-label="This flow is closed">
      <h2>{isDeleted ? `${error.by ?? "Somebody"} deleted this flow` : "This flow is closed"}</h2>
      <p className="muted">
        {isDeleted && document !== null ? "It is still shown here, with your latest changes. You can keep it as a new flow." : why}
      </p>
      <div className="row">
        {document !== null && (
          <>
            <button className="button primary" onClick={() => { copy(document); }}>Keep a copy</button>
            <button className="button" onClick={() => { saveDocument(document); }}>Save as a file</button>
          </>
        )}
        <a className="button" href="/" onClick={follow}>All flows</a>
      </div>
    </section>
  );
}

/** Says why the flow can't be opened yet. */
export function Waiting({ status: { error }, onRetry }: { status: FlowStatus; onRetry: () => void }) {
  return (
    <section className="closed panel" role="alert">
      <h2>This flow can't be opened right now</h2>
      <p className="muted">{error !== null && wordsFor(error)} Trying again automatically.</p>
      <div className="row">
        <button className="button primary" onClick={onRetry}>Try now</button>
        <a className="button" href="/" onClick={follow}>All flows</a>
      </div>
    </section>
  );
}
