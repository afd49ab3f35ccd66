import type { FlowDocument, FlowStatus, JsonObject, SyncedFlow } from "helix-flows";
import { useEffect, useRef } from "react";

import { creating, useMayCreate } from "../../access/creating";
import { useIdentity } from "../../access/identity";
import { lookWho } from "../../access/session";
import { SignInWay } from "../../access/SignIn";
import type { Ending } from "../../access/useEnding";
import { flowPath, follow, go, HOME, isEmbedded } from "../../address";
import { api, reasonOf } from "../../api";
import { open, saveDocument } from "../../opened";
import { tell } from "../../ui/Toasts";
import { numbered } from "../../words";
import { wordsFor } from "./Status";

/** The codes of a flow that is closed only to this person. */
const GONE = ["access_revoked", "flow_not_found"];

function copy(document: FlowDocument): void {
  const named: JsonObject = { ...document, title: `${document.title} (Copy)`.trim() };
  creating(api.create({ document: named })).then(
    ({ id }) => { go(flowPath(id)); },
    (error: unknown) => {
      tell(`Couldn't make a copy: ${reasonOf(error)}`, { label: "Save as a file", run: () => { saveDocument(document); } });
    },
  );
}

interface Props {
  sync: SyncedFlow;
  status: FlowStatus;
}

/** Offers a copy: as a flow to who may make one, and as a file. */
function Copies({ document }: { document: FlowDocument }) {
  const isGuest = useIdentity().guest !== null;
  const mayCreate = useMayCreate() && !isGuest;
  return (
    <>
      {mayCreate && <button className="button primary" onClick={() => { copy(document); }}>Keep a copy</button>}
      <button className={mayCreate ? "button" : "button primary"} onClick={() => { saveDocument(document); }}>Save as a file</button>
    </>
  );
}

/** Leads to the list of flows, which guests don't have. */
function ToHome() {
  const { me, guest } = useIdentity();
  return isEmbedded || (guest !== null && me === null) ? null : <a className="button" href={HOME} onClick={follow}>All flows</a>;
}

/** Says why the flow is closed, and offers a copy of what is shown. */
export function Closed({ sync, status: { error, unsent }, document }: Props & { document: FlowDocument | null }) {
  const isGone = document !== null && GONE.includes(error?.code ?? "");
  const isDeleted = error?.code === "flow_deleted";
  const section = useRef<HTMLElement>(null);
  // The focus moves here, so that further typing presses nothing, and screen readers notice it.
  useEffect(() => { section.current?.focus({ preventScroll: true }); }, []);
  const why = error === null ? "The server closed it." : wordsFor(error);
  const offered = isGone ? sync.copyOfUnsent() : document;
  const title = isDeleted ? `${error.by ?? "Somebody"} deleted this flow` : isGone ? "You no longer have access to this flow" : "This flow is closed";
  const lost = unsent === 0 ? "All your changes were saved." : `${numbered(unsent, "change")} of yours couldn't be sent. You can keep a copy with ${unsent === 1 ? "it" : "them"}.`;
  return (
    <section ref={section} tabIndex={-1} className="closed panel" role="alertdialog" aria-label="This flow is closed">
      <h2>{title}</h2>
      <p className="muted">
        {isDeleted && document !== null ? "It is still shown here, with your latest changes. You can keep it as a new flow." : isGone ? lost : why}
      </p>
      <div className="row">
        {offered !== null && <Copies document={offered} />}
        {GONE.includes(error?.code ?? "") && <button className="button" onClick={sync.retryNow}>Try again</button>}
        <ToHome />
      </div>
    </section>
  );
}

/** Says that one may not make changes that wait, and offers a copy with them. */
export function Held({ sync, status: { error, unsent } }: Props) {
  const document = sync.copyOfUnsent();
  return (
    <section className="closed panel" role="alert" aria-label="Changes that are held back">
      <h2>{numbered(unsent, "change")} held back</h2>
      <p className="muted">
        {error !== null && wordsFor(error)} What you changed is kept in this browser, and is sent if you may edit again.
      </p>
      <div className="row">
        {document !== null && <Copies document={document} />}
        <button className="button" onClick={() => { sync.discardUnsent(); }}>Discard</button>
      </div>
    </section>
  );
}

/** Says that the server lets this page in no more, and how it would again. What is shown stays. */
export function Ended({ ending, status: { unsent, kept } }: { ending: Ending; status: FlowStatus }) {
  const isOut = ending.kind === "signed-out";
  const section = useRef<HTMLElement>(null);
  useEffect(() => { section.current?.focus({ preventScroll: true }); }, []);
  const waiting = unsent === 0 ? "" : `${numbered(unsent, "change")} of yours ${kept ? "in this browser" : "in this window"} ${unsent === 1 ? "isn't" : "aren't"} sent yet.`;
  return (
    <section ref={section} tabIndex={-1} className="closed panel" role="alertdialog" aria-label={isOut ? "You are signed out" : "You came by a link"}>
      <h2>{isOut ? "You are signed out" : "The link lets you in no more"}</h2>
      <p className="muted">
        {isOut ? "The flow stays as it was, and can't be changed." : `${ending.reason.replace(/\.$/, "")}.`} {waiting}
      </p>
      <div className="row">
        {isOut && <SignInWay label="Sign in again" />}
        <button className="button" onClick={() => { if (isOut) { void lookWho(); } else { location.reload(); } }}>Try again</button>
        {unsent > 0 && <button className="button" onClick={() => { open.save(); }}>Save as a file</button>}
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
        <ToHome />
      </div>
    </section>
  );
}
