import type { SyncedFlow } from "helix-flows";
import { Component, type ReactNode, useEffect, useSyncExternalStore } from "react";

import { HOME, isEmbedded } from "./address";
import { isAtRisk, open, saveDocument } from "./opened";

interface Broken {
  error: Error;
  /** The flow that was open at the crash. */
  flow: SyncedFlow | null;
}

/** Replaces the crashed interface, and lets the user save edits that the server doesn't have yet. */
export class Boundary extends Component<{ children: ReactNode }, { broken: Broken | null }> {
  override state: { broken: Broken | null } = { broken: null };

  static getDerivedStateFromError(error: unknown): { broken: Broken } {
    return { broken: { error: error instanceof Error ? error : new Error(String(error)), flow: open.flow } };
  }

  override componentDidCatch(): void {
    this.state.broken?.flow?.doubtKept();
  }

  override render(): ReactNode {
    return this.state.broken === null ? this.props.children : <Crash {...this.state.broken} />;
  }
}

function Crash({ error, flow }: Broken) {
  return (
    <main className="message" role="alert">
      <h1>Something went wrong</h1>
      {flow !== null && <Rescued flow={flow} />}
      <p>
        <code>{error.message}</code>
      </p>
      <div className="row">
        <button className="button primary" onClick={() => { location.reload(); }}>
          Reload
        </button>
        {flow !== null && (
          <button className="button" onClick={() => { saveDocument(flow.state.document); }}>
            Save a copy as a file
          </button>
        )}
        {!isEmbedded && (
          <a className="button" href={HOME}>
            All flows
          </a>
        )}
      </div>
    </main>
  );
}

/** Keeps the flow connected without the interface, so that changes are still sent. */
function Rescued({ flow }: { flow: SyncedFlow }) {
  useEffect(() => {
    flow.start();
    return () => {
      flow.stop();
    };
  }, [flow]);
  const { status } = useSyncExternalStore(flow.subscribe, () => flow.state);
  return <p>{wordsOf(flow, status.unsent)}</p>;
}

function wordsOf(flow: SyncedFlow, unsent: number): string {
  if (unsent === 0) {
    return "All your changes are saved.";
  }
  const changes = unsent === 1 ? "1 unsent change is" : `${unsent} unsent changes are`;
  return isAtRisk(flow)
    ? `${changes} only in this window. Save a copy before you close it.`
    : `${changes} kept in this browser, and sent as soon as the server can be reached.`;
}
