// Clients of the two servers that speak Yjs's protocol, by their own providers.
// A node is a Y.Map of the document's map "nodes", and its position is one value of that.

import { HocuspocusProvider, HocuspocusProviderWebsocket } from "@hocuspocus/provider";
import { WebSocket } from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";
import { stopLooking } from "./audience.js";
import { makeNode } from "./graph.js";

/** A member of a flow; see `client-helix.js` for what each client has to offer. */
class Member {
  onMove = () => {};
  onCursor = () => {};
  onSaved = () => {};
  #document;
  #nodes;
  #awareness;
  #socketNow;

  constructor(document, awareness, socketNow) {
    this.#socketNow = socketNow;
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

  stopLooking() {
    stopLooking(this.#socketNow());
  }
}

/** Joins by `y-websocket`, which never learns what the server has. */
export function joinYWebsocket(url, flow) {
  const document = new Y.Doc();
  const provider = new WebsocketProvider(url, flow, document, {
    WebSocketPolyfill: WebSocket,
    disableBc: true,
  });
  const member = new Member(document, provider.awareness, () => {
    provider.wsLastMessageReceived = Infinity; // else it connects anew after 30 s of silence
    return provider.ws;
  });
  return new Promise((resolve) => {
    provider.once("sync", () => resolve(member));
  });
}

/** Joins by `@hocuspocus/provider`, a connection for each. */
export function joinHocuspocus(url, flow) {
  const document = new Y.Doc();
  const websocketProvider = new HocuspocusProviderWebsocket({
    url,
    WebSocketPolyfill: WebSocket,
    messageReconnectTimeout: 600_000, // some stop looking, and would connect anew after 30 s
  });
  const provider = new HocuspocusProvider({ websocketProvider, name: flow, document });
  const member = new Member(document, provider.awareness, () => websocketProvider.webSocket);
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
