import { Check, CloudOff, LoaderCircle, Lock, TriangleAlert } from "lucide-react";
import { type FlowError, type FlowStatus, own, type Refusal, type SyncedFlow } from "helix-flows";
import { useEffect } from "react";

import { tell } from "../../ui/Toasts";

const ICONS = { loading: LoaderCircle, saved: Check, saving: LoaderCircle, held: Lock, checking: LoaderCircle, offline: CloudOff, closed: TriangleAlert };

/** Texts for errors whose reason is meant for programs. */
const WORDS: Readonly<Record<string, string>> = {
  max_clients_reached: "This flow is full.",
  too_many_sessions: "This server can't open more flows right now.",
};

const NOT_KEPT = "This browser can't store changes right now. Unsent changes are lost when you close this window.";

/** Write why the server or the connection refused. */
export function wordsFor({ code, reason }: FlowError): string {
  return own(WORDS, code ?? "") ?? `${reason.replace(/\.$/, "")}.`;
}

/** Write the status in two or three words. */
function wordsOf({ kind, unsent, kept, error }: FlowStatus, isViewer: boolean): string {
  const what = kept ? "unsent" : "not kept";
  switch (kind) {
    case "loading":
      return "Loading";
    case "saved":
      return isViewer ? "Read only" : "Saved";
    case "saving":
      return error === null ? "Saving" : `Saving, ${unsent} ${what}`;
    case "held":
      return `Read only, ${unsent} ${kept ? "held back" : "not kept"}`;
    case "checking":
      return "Checking";
    case "offline":
      return unsent > 0 ? `Offline, ${unsent} ${what}` : "Offline";
    case "closed":
      return unsent > 0 ? `Closed, ${unsent} ${what}` : "Closed";
  }
}

interface Props {
  sync: SyncedFlow;
  status: FlowStatus;
  refusals: readonly Refusal[];
  isViewer: boolean;
}

/** The status of the connection: always true, always visible. */
export function Status({ sync, status, refusals, isViewer }: Props) {
  const Icon = ICONS[status.kind];
  const isBusy = status.kind === "loading" || status.kind === "saving" || status.kind === "checking";
  const isAtRisk = status.unsent > 0 && !status.kept && (status.kind !== "saving" || status.error !== null);
  const why = isAtRisk ? NOT_KEPT : status.error === null ? undefined : wordsFor(status.error);
  useEffect(() => {
    if (isAtRisk) {
      tell(NOT_KEPT);
    }
  }, [isAtRisk]);
  return (
    <>
      <span className={`status ${status.kind}`} role="status" title={why}>
        <Icon size={13} className={isBusy ? "spin" : undefined} aria-hidden /> {wordsOf(status, isViewer)}
        {status.isSlow && (
          <>
            <span className="attempts">· {status.failedAttempts} attempts failed</span>
            <button onClick={sync.retryNow}>Try now</button>
          </>
        )}
      </span>
      <Refused refusals={refusals} onDismiss={() => { sync.dismiss(); }} />
    </>
  );
}

function Refused({ refusals, onDismiss }: { refusals: readonly Refusal[]; onDismiss: () => void }) {
  const last = refusals.at(-1);
  if (last === undefined) {
    return null;
  }
  const number = refusals.length === 1 ? "Refused and undone" : `${refusals.length} changes refused and undone`;
  return (
    <span className="refusal" role="alert" title={wordsFor(last)}>
      <TriangleAlert size={13} aria-hidden />
      <span>{number}: {wordsFor(last)}</span>
      <button onClick={onDismiss}>Dismiss</button>
    </span>
  );
}
