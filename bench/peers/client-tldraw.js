// A client of tldraw's sync-core, by its own `TLSyncClient` and store.

import { randomUUID } from "node:crypto";
import { atom } from "@tldraw/state";
import { Store } from "@tldraw/store";
import { chunk, TLSyncClient } from "@tldraw/sync-core";
import { WebSocket } from "ws";
import { makeNode } from "./graph.js";
import { schema } from "./tldraw-schema.js";

const PRESENCE = "presence:";
const PONG = '{"type":"pong"}';

// What browsers have: frames, 60 a second.
globalThis.requestAnimationFrame ??= (act) => setTimeout(act, 1000 / 60);
globalThis.cancelAnimationFrame ??= clearTimeout;

/** What `TLSyncClient` wants of a connection. It connects once. */
class Line {
  connectionStatus = "offline";
  onAnswer = () => {};
  #socket;
  #receivers = new Set();
  #watchers = new Set();
  #isLooking = true;

  constructor(url) {
    this.#socket = new WebSocket(url);
    this.#socket.on("open", () => this.#become("online"));
    this.#socket.on("close", () => this.#become("offline"));
    this.#socket.on("message", (data) => {
      if (!this.#isLooking && data.length > PONG.length) {
        return;
      }
      const message = JSON.parse(data);
      for (const receive of this.#receivers) {
        receive(message);
      }
      if (message.type === "data" && message.data.some(({ type }) => type === "push_result")) {
        this.onAnswer();
      }
    });
  }

  #become(status) {
    this.connectionStatus = status;
    for (const watch of this.#watchers) {
      watch({ status });
    }
  }

  /** Takes nothing more but that the server is there. */
  stopLooking() {
    this.#isLooking = false;
  }

  sendMessage(message) {
    for (const part of chunk(JSON.stringify(message))) {
      this.#socket.send(part);
    }
  }

  onReceiveMessage = (receive) => {
    this.#receivers.add(receive);
    return () => this.#receivers.delete(receive);
  };

  onStatusChange = (watch) => {
    this.#watchers.add(watch);
    return () => this.#watchers.delete(watch);
  };

  restart() {
    throw new Error("tldraw's client wants to connect anew");
  }

  close() {
    this.#socket.close();
  }
}

/** A member of a flow; see `client-helix.js` for what each client has to offer. */
class Member {
  onMove = () => {};
  onCursor = () => {};
  onSaved = () => {};
  #store;
  #presence;
  #line;

  constructor(store, presence, line) {
    this.#line = line;
    this.#store = store;
    this.#presence = presence;
    line.onAnswer = () => this.onSaved();
    store.listen(
      ({ changes }) => {
        for (const [from, to] of Object.values(changes.updated)) {
          if (to.typeName === "presence") {
            this.onCursor();
          } else if (from.x !== to.x) {
            this.onMove(to.id.slice("node:".length), to.x);
          }
        }
      },
      { source: "remote", scope: "all" },
    );
  }

  fill(count) {
    const records = Array.from({ length: count }, (_, n) => {
      const { id, type, position, data } = makeNode(n);
      return { id: `node:${id}`, typeName: "node", type, ...position, data };
    });
    this.#store.put(records);
  }

  get size() {
    return this.#store.allRecords().filter(({ typeName }) => typeName === "node").length;
  }

  move(id, x) {
    this.#store.update(`node:${id}`, (node) => ({ ...node, x, y: 0.5 }));
  }

  point(x) {
    this.#presence.set({ ...this.#presence.get(), x, y: 0.5 });
  }

  stopLooking() {
    this.#line.stopLooking();
  }
}

/** Joins; its pointer is there from the beginning, as the editor's is. */
export function joinTldraw(url, flow) {
  const sessionId = randomUUID();
  const store = new Store({ schema, props: {} });
  const presence = atom("presence", { id: PRESENCE + sessionId, typeName: "presence", x: 0, y: 0 });
  const line = new Line(`${url}/${flow}?sessionId=${sessionId}`);
  const member = new Member(store, presence, line);
  return new Promise((resolve, reject) => {
    new TLSyncClient({
      store,
      socket: line,
      presence,
      presenceMode: atom("presence mode", "full"),
      onLoad: () => {},
      onAfterConnect: () => resolve(member),
      onSyncError: (reason) => reject(new Error(`tldraw's server refused: ${reason}`)),
    });
  });
}
