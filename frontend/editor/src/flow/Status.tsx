import { Check, CloudOff, LoaderCircle, TriangleAlert } from "lucide-react";
import type { FlowStatus, Refusal, SyncedFlow } from "helix-flows";

const ICONS = { loading: LoaderCircle, saved: Check, saving: LoaderCircle, offline: CloudOff, closed: TriangleAlert };

/** Say it in two or three words. */
function wordsOf({ kind, unsent }: FlowStatus, isViewer: boolean): string {
  switch (kind) {
    case "loading":
      return "Loading";
    case "saved":
      return isViewer ? "Read only" : "Saved";
    case "saving":
      return "Saving";
    case "offline":
      return unsent > 0 ? `Offline, ${unsent} unsent` : "Offline";
    case "closed":
      return unsent > 0 ? `Closed, ${unsent} unsent` : "Closed";
  }
}

interface Props {
  sync: SyncedFlow;
  status: FlowStatus;
  refusals: readonly Refusal[];
  isViewer: boolean;
}

/** How what is shown stands to the server: always true, always in sight. */
export function Status({ sync, status, refusals, isViewer }: Props) {
  const refusal = refusals.at(-1);
  if (refusal !== undefined) {
    return (
      <span className="status refused" role="alert">
        <TriangleAlert size={13} aria-hidden /> Refused: {refusal.reason}
        <button onClick={() => { sync.dismiss(); }}>Dismiss</button>
      </span>
    );
  }
  const Icon = ICONS[status.kind];
  const isBusy = status.kind === "loading" || status.kind === "saving";
  return (
    <span className={`status ${status.kind}`} role="status" title={status.error?.reason}>
      <Icon size={13} className={isBusy ? "spin" : undefined} aria-hidden /> {wordsOf(status, isViewer)}
      {status.isSlow && <button onClick={sync.retryNow}>Try now</button>}
    </span>
  );
}
