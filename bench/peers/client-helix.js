// A client of Helix, by its own client library, which `bench/peers.py` bundles.
//
// What every client offers, as this one does: `join(url, flow)` gives a promise of a member, once
// that has the flow. `fill(count)` makes the flow's nodes, `size` counts those that the member has,
// `move(id, x)` moves one, and `point(x)` moves the member's pointer. `onMove(id, x)` is called when
// somebody else's move is in its copy of the flow, `onCursor()` when it has somebody else's pointer,
// and `onSaved()` once the server has acknowledged all that was sent.

import { WebSocket } from "ws";
import { FlowSync } from "./helix-client.mjs";
import { makeNodes } from "./graph.js";

class Member {
  onMove = () => {};
  onCursor = () => {};
  onSaved = () => {};
  #sync;
  #unsent = 0;
  #cursors = new Map();

  constructor(sync) {
    this.#sync = sync;
    sync.listen((event) => {
      if (event.type !== "entries") {
        return;
      }
      for (const { client_id, patch } of event.entries) {
        if (client_id === sync.clientId) {
          continue;
        }
        for (const [id, node] of Object.entries(patch.nodes ?? {})) {
          if (node?.position !== undefined) {
            this.onMove(id, node.position.x);
          }
        }
      }
    });
    sync.subscribe(() => {
      const { status, cursors } = sync.state;
      if (status.kind === "saved" && this.#unsent > 0) {
        this.#unsent = 0;
        this.onSaved();
      }
      if (cursors !== this.#cursors) {
        const before = this.#cursors;
        this.#cursors = cursors;
        for (const [id, cursor] of cursors) {
          if (cursor !== before.get(id)) {
            this.onCursor();
          }
        }
      }
    });
  }

  fill(count) {
    this.#patch({ nodes: makeNodes(count) });
  }

  get size() {
    return Object.keys(this.#sync.state.document?.nodes ?? {}).length;
  }

  move(id, x) {
    this.#patch({ nodes: { [id]: { position: { x, y: 0.5 } } } });
  }

  #patch(patch) {
    this.#unsent += 1;
    this.#sync.patch(patch);
  }

  point(x) {
    this.#sync.setCursor({ x, y: 0.5 });
  }
}

export function joinHelix(url, flow) {
  const sync = new FlowSync(flow, {
    url: url.replace("ws:", "http:"),
    keeper: null,
    webSocket: WebSocket,
    user: { name: "Ada" },
  });
  sync.start();
  return new Promise((resolve, reject) => {
    const stop = sync.subscribe(() => {
      const { kind, error } = sync.state.status;
      if (kind === "saved") {
        stop();
        resolve(new Member(sync));
      } else if (error !== null) {
        reject(new Error(`Helix: ${error.reason}`));
      }
    });
  });
}
