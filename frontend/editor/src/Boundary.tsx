import { Component, type ReactNode } from "react";

import { open } from "./opened";

interface State {
  error: Error | null;
}

/** Stands in for what has crashed, and hands over the edits that the server doesn't have yet. */
export class Boundary extends Component<{ children: ReactNode }, State> {
  override state: State = { error: null };

  static getDerivedStateFromError(error: unknown): State {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override render(): ReactNode {
    return this.state.error === null ? this.props.children : <Crash error={this.state.error} />;
  }
}

function Crash({ error }: { error: Error }) {
  const unsent = open.flow?.state.status.unsent ?? 0;
  return (
    <main className="message" role="alert">
      <h1>Something broke</h1>
      <p>
        {unsent === 0
          ? "All your changes are saved."
          : `${unsent} unsent change${unsent === 1 ? " is" : "s are"} kept in this browser, and will be sent when you are back.`}
      </p>
      <p>
        <code>{error.message}</code>
      </p>
      <div className="row">
        <button className="button primary" onClick={() => { location.reload(); }}>
          Load again
        </button>
        {open.flow !== null && (
          <button className="button" onClick={() => { open.save(); }}>
            Save a copy as a file
          </button>
        )}
        <a className="button" href="/">
          All flows
        </a>
      </div>
    </main>
  );
}
