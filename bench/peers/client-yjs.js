// Clients of the two servers that speak Yjs's protocol, by their own providers.
// A node is a Y.Map of the document's map "nodes", and its position is one value of that.

import { HocuspocusProvider, HocuspocusProviderWebsocket } from "@hocuspocus/provider";
import { WebSocket } from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";
import { makeNode } from "./graph.js";

/** A member of a flow; see `client-helix.js` for what each client has to offer. */
class Member {
  onMove = () => {};
  onCursor = () => {};
  onSaved = () => {};
  #document;
  #nodes;
  #awareness;

  constructor(document, awareness) {
    this.#document = document;
    this.#nodes = document.getMap("nodes");
    this.#awareness = awareness;
    this.#nodes.observeDeep((events, transaction) => {
      if (transaction.local) {
        return;
      }
      for (const event of events) {
        if (event.path.length === 1 && event.keysChanged.has("position")) {
          this.onMove(event.path[0], event.target.get("position").x);
        }
      }
    });
    awareness?.on("change", ({ updated }) => {
      for (const client of updated) {
        if (client !== document.clientID) {
          this.onCursor();
        }
      }
    });
  }

  fill(count) {
    this.#document.transact(() => {
      for (let n = 0; n < count; n += 1) {
        this.#nodes.set(`n${n}`, new Y.Map(Object.entries(makeNode(n))));
      }
    });
  }

  get size() {
    return this.#nodes.size;
  }

  move(id, x) {
    this.#nodes.get(id).set("position", { x, y: 0.5 });
  }

  point(x) {
    this.#awareness.setLocalStateField("cursor", { x, y: 0.5 });
  }
}

/** Joins by `y-websocket`, which never learns what the server has. */
export function joinYWebsocket(url, flow) {
  const document = new Y.Doc();
  const provider = new WebsocketProvider(url, flow, document, {
    WebSocketPolyfill: WebSocket,
    disableBc: true,
  });
  const member = new Member(document, provider.awareness);
  return new Promise((resolve) => {
    provider.once("sync", () => resolve(member));
  });
}

/** Joins by `@hocuspocus/provider`, a connection for each. */
export function joinHocuspocus(url, flow) {
  const document = new Y.Doc();
  const websocketProvider = new HocuspocusProviderWebsocket({ url, WebSocketPolyfill: WebSocket });
  const provider = new HocuspocusProvider({ websocketProvider, name: flow, document });
  const member = new Member(document, provider.awareness);
  provider.on("unsyncedChanges", ({ number }) => {
    if (number === 0) {
      member.onSaved();
    }
  });
  provider.attach();
  return new Promise((resolve) => {
    provider.on("synced", () => resolve(member));
  });
}
