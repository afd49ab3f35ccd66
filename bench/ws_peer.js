/*
 * What a Node user would write with `ws`, as a peer to compare with: node ws_peer.js PORT
 *
 * It speaks as much of relay mode as the load generator needs, and keeps nothing.
 */
"use strict";

const http = require("node:http");
const { WebSocketServer, WebSocket } = require("ws");

const BACKLOG = 4096;
const MAX_FRAME_BYTES = 1 << 20;

const membersByTopic = new Map();

function membersOf(topic) {
  let members = membersByTopic.get(topic);
  if (!members) {
    members = new Set();
    membersByTopic.set(topic, members);
  }
  return members;
}

function reply(socket, joinRef, ref, topic) {
  const payload = { response: {}, status: "ok" };
  socket.send(JSON.stringify([joinRef, ref, topic, "phx_reply", payload]));
}

function broadcast(members, topic, payload) {
  const frame = Buffer.from(JSON.stringify([null, null, topic, "flow_update", payload]));
  for (const member of members) {
    if (member.readyState === WebSocket.OPEN) member.send(frame, { binary: false });
  }
}

function serve(socket) {
  let joined = null;
  socket.on("message", (text) => {
    const [joinRef, ref, topic, event, payload] = JSON.parse(text);
    if (event === "flow_change") {
      if (joined) broadcast(joined, topic, payload);
    } else if (event === "phx_join") {
      joined = membersOf(topic);
      joined.add(socket);
      reply(socket, joinRef, ref, topic);
    } else if (event === "heartbeat") {
      reply(socket, joinRef, ref, topic);
    }
  });
  socket.on("close", () => joined?.delete(socket));
  socket.on("error", () => socket.terminate());
}

const server = http.createServer();
new WebSocketServer({ server, perMessageDeflate: false, maxPayload: MAX_FRAME_BYTES }).on(
  "connection",
  serve,
);
server.listen(Number(process.argv[2]), "127.0.0.1", BACKLOG);
