// A client of Helix, by its own client library, which `bench/peers.py` bundles.
//
// What every client offers, as this one does: `join(url, flow)` gives a promise of a member, once
// that has the flow. `fill(count)` makes the flow's nodes, `size` counts those that the member has,
// `move(id, x)` moves one, and `point(x)` moves the member's pointer. `onMove(id, x)` is called when
// somebody else's move is in its copy of the flow, `onCursor()` when it has somebody else's pointer,
// and `onSaved()` once the server has acknowledged all that was sent. `stopLooking()` lets a member that
// only writes from now on take no notice of what it is sent, as far as its protocol allows.

import { randomBytes } from "node:crypto";
import { WebSocket } from "ws";
import { FlowSync } from "./helix-client.mjs";
import { stopLooking } from "./audience.js";
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

/** Somebody who speaks Helix's protocol and keeps positions, as a program would that shows no canvas. */
class PlainMember {
  onMove = () => {};
  onCursor = () => {};
  onSaved = () => {};
  #socket;
  #topic;
  #self;
  #positions;
  #operation = 0;

  constructor(socket, topic, { client_id, document }) {
    this.#socket = socket;
    this.#topic = topic;
    this.#self = client_id;
    this.#positions = new Map(Object.entries(document.nodes).map(([id, node]) => [id, node.position]));
    socket.on("message", (data) => {
      const [, , , event, payload] = JSON.parse(data);
      if (event === "phx_reply") {
        this.#answered(payload);
      } else if (event === "entries") {
        payload.entries.forEach((entry) => this.#take(entry));
      }
    });
  }

  #answered({ status, response }) {
    if (status !== "ok") {
      throw new Error(`Helix refused an edit: ${response.reason}`);
    }
    this.onSaved();
  }

  #take({ client_id, patch }) {
    for (const [id, { position }] of Object.entries(patch.nodes ?? {})) {
      this.#positions.set(id, position);
      if (client_id !== this.#self) {
        this.onMove(id, position.x);
      }
    }
  }

  fill(count) {
    this.#patch({ nodes: makeNodes(count) });
  }

  get size() {
    return this.#positions.size;
  }

  move(id, x) {
    this.#patch({ nodes: { [id]: { position: { x, y: 0.5 } } } });
  }

  #patch(patch) {
    this.#operation += 1;
    const push = { op_id: this.#operation, patch };
    this.#socket.send(JSON.stringify(["1", "2", this.#topic, "patch", push]));
  }

  point(x) {
    this.#socket.send(JSON.stringify(["1", "3", this.#topic, "cursor", { x, y: 0.5 }]));
  }

  stopLooking() {
    stopLooking(this.#socket);
    setInterval(() => this.#socket.send('[null,"4","phoenix","heartbeat",{}]'), 20_000);
  }
}

function joinPlainly(url, flow) {
  const socket = new WebSocket(`${url}/socket/websocket?vsn=2.0.0`);
  const topic = `flow:${flow}`;
  const client_id = randomBytes(16).toString("base64url");
  const parameters = { mode: "document", client_id, user: { name: "Ada" } };
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("open", () => {
      socket.send(JSON.stringify(["1", "1", topic, "phx_join", parameters]));
    });
    const joined = (data) => {
      const [, , , event, { status, response }] = JSON.parse(data);
      if (event !== "phx_reply") {
        return;
      }
      socket.off("message", joined);
      if (status === "ok") {
        resolve(new PlainMember(socket, topic, response));
      } else {
        reject(new Error(`Helix: ${response.reason}`));
      }
    };
    socket.on("message", joined);
  });
}

export function joinHelix(url, flow, { isPlain = false } = {}) {
  if (isPlain) {
    return joinPlainly(url, flow);
  }
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
