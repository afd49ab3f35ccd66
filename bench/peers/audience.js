// Members of a large room who only look on: a thousand real clients in one process would take longer
// to apply what they get than the server takes to send it, and one would measure them.
//
// Each joins by its server's protocol as the real client does, word for word, and from then on reads
// all that it is sent without looking at it.

import { randomBytes, randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import * as encoding from "lib0/encoding";
import { WebSocket } from "ws";
import * as syncProtocol from "y-protocols/sync";
import { Doc } from "yjs";
import { schema } from "./tldraw-schema.js";

const ALIVE_MS = 8000; // tldraw's server gives up who is silent for 20 s
const JOIN_MS = 60_000;
const SYNC = 0;
const AUTHENTICATION = 2;
const TOKEN = 0;
const TLDRAW_PROTOCOL = 8;

const empty = new Doc();
const connectionsProtocol = createRequire(import.meta.url)("sharedb/lib/protocol");

/** Makes the first message of Yjs's protocol: what one has, which is nothing. */
function wantAll(begin) {
  const encoder = encoding.createEncoder();
  begin(encoder);
  encoding.writeVarUint(encoder, SYNC);
  syncProtocol.writeSyncStep1(encoder, empty);
  return encoding.toUint8Array(encoder);
}

/** Finds the answer to `wantAll`, so many bytes into a message. */
const isAll = (data, at) => data[at] === SYNC && data[at + 1] === syncProtocol.messageYjsSyncStep2;

const nameOf = (flow) => encoding.encode((encoder) => encoding.writeVarString(encoder, flow));

function hocuspocusToken(flow) {
  const encoder = encoding.createEncoder();
  encoding.writeVarString(encoder, flow);
  encoding.writeVarUint(encoder, AUTHENTICATION);
  encoding.writeVarUint(encoder, TOKEN);
  encoding.writeVarString(encoder, "");
  encoding.writeVarString(encoder, "4.8.0");
  return encoding.toUint8Array(encoder);
}

/** How one joins by each protocol: where, what one says, what comes last, and what keeps one there. */
const PROTOCOLS = {
  helix: (url, flow) => ({
    address: `${url}/socket/websocket?vsn=2.0.0`,
    says: [
      JSON.stringify([
        "1",
        "1",
        `flow:${flow}`,
        "phx_join",
        { mode: "document", client_id: randomBytes(16).toString("base64url"), user: { name: "Ada" } },
      ]),
    ],
    isLast: (data) => data.includes('"phx_reply"'),
    alive: '[null,"2","phoenix","heartbeat",{}]',
  }),
  hocuspocus: (url, flow) => ({
    address: url,
    says: [hocuspocusToken(flow), wantAll((encoder) => encoding.writeVarString(encoder, flow))],
    isLast: (data) => isAll(data, nameOf(flow).length),
  }),
  sharedb: (url, flow) => ({
    address: url,
    says: [
      JSON.stringify({
        a: "hs",
        id: null,
        protocol: connectionsProtocol.major,
        protocolMinor: connectionsProtocol.minor,
      }),
      JSON.stringify({ a: "s", c: "flows", d: flow, v: null }),
      JSON.stringify({ a: "ps", ch: `pointers:${flow}`, seq: 1 }),
    ],
    isLast: (data) => data.includes('"a":"ps"'),
  }),
  tldraw: (url, flow) => ({
    address: `${url}/${flow}?sessionId=${randomUUID()}`,
    says: [
      JSON.stringify({
        type: "connect",
        connectRequestId: "1",
        schema: schema.serialize(),
        protocolVersion: TLDRAW_PROTOCOL,
        lastServerClock: -1,
      }),
    ],
    isLast: (data) => data.includes('"type":"connect"'),
    alive: '{"type":"ping"}',
  }),
  "y-websocket": (url, flow) => ({
    address: `${url}/${flow}`,
    says: [wantAll(() => {})],
    isLast: (data) => isAll(data, 0),
  }),
};

/** Joins a flow as somebody who only looks on. */
export function attend(client, url, flow) {
  const { address, says, isLast, alive } = PROTOCOLS[client](url, flow);
  const socket = new WebSocket(address);
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      reject(new Error(`one who looks on has not joined within ${JOIN_MS / 1000} s`));
    }, JOIN_MS);
    socket.on("open", () => says.forEach((message) => socket.send(message)));
    socket.on("error", reject);
    socket.on("close", (code) => reject(new Error(`one who looks on was sent away: ${code}`)));
    socket.on("message", (data) => {
      if (isLast(data)) {
        clearTimeout(late);
        stopLooking(socket);
        setInterval(() => {
          socket.pong(); // to a ping that may have come
          if (alive !== undefined) {
            socket.send(alive);
          }
        }, ALIVE_MS);
        resolve();
      }
    });
  });
}

/** Takes what comes straight from the socket, since decoding the frames would cost as much as all else. */
export function stopLooking(socket) {
  socket.removeAllListeners("message");
  socket._socket.removeAllListeners("data");
  socket._socket.on("data", () => {});
  socket._socket.on("close", () => {
    throw new Error("one who looks on was sent away");
  });
  socket._socket.resume();
}
