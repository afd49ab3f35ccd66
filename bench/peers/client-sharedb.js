// A client of ShareDB, by its own client: the flow is a document of the type json0.

import { createRequire } from "node:module";
import { WebSocket } from "ws";
import { makeNodes } from "./graph.js";

const require = createRequire(import.meta.url);
const { Connection } = require("sharedb/lib/client");

const told = (act) =>
  new Promise((resolve, reject) => {
    act((error) => (error ? reject(error) : resolve()));
  });

/** A member of a flow; see `client-helix.js` for what each client has to offer. */
class Member {
  onMove = () => {};
  onCursor = () => {};
  onSaved = () => {};
  #doc;
  #pointer;
  #socket;

  constructor(doc, socket) {
    this.#socket = socket;
    this.#doc = doc;
    doc.on("op", (op, source) => {
      if (source) {
        return;
      }
      for (const { p, oi } of op) {
        if (p.length === 3 && p[2] === "position") {
          this.onMove(p[1], oi.x);
        }
      }
    });
  }

  fill(count) {
    this.#doc.create({ nodes: makeNodes(count), edges: {} }, () => this.onSaved());
  }

  get size() {
    return Object.keys(this.#doc.data?.nodes ?? {}).length;
  }

  move(id, x) {
    const od = this.#doc.data.nodes[id].position;
    const op = [{ p: ["nodes", id, "position"], od, oi: { x, y: 0.5 } }];
    this.#doc.submitOp(op, (error) => {
      if (error) {
        throw error;
      }
      this.onSaved();
    });
  }

  /** Shows it the others' pointers, which one subscribes to. */
  async watchPointers() {
    const presence = this.#doc.connection.getPresence(`pointers:${this.#doc.id}`);
    await told((done) => presence.subscribe(done));
    presence.on("receive", () => this.onCursor());
    this.#pointer = presence.create();
  }

  point(x) {
    this.#pointer.submit({ x, y: 0.5 });
  }

  /** Takes no more pointers. It needs the others' edits, or the server would answer none of its own. */
  stopLooking() {
    const listeners = this.#socket.listeners("message");
    this.#socket.removeAllListeners("message");
    this.#socket.on("message", (data, ...more) => {
      if (!data.subarray(0, 12).includes('"a":"p"')) {
        listeners.forEach((listener) => listener.call(this.#socket, data, ...more));
      }
    });
  }
}

/** Joins: connects, and subscribes to the flow's document. */
export async function joinShareDB(url, flow, { hasPointers = false } = {}) {
  const socket = new WebSocket(url);
  const connection = new Connection(socket);
  const doc = connection.get("flows", flow);
  await told((done) => doc.subscribe(done));
  const member = new Member(doc, socket);
  if (hasPointers) {
    await member.watchPointers();
  }
  return member;
}
