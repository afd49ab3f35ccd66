// tldraw's sync-core as its template starts it: node server-tldraw.js PORT [DIRECTORY]
// With a directory each room has its own SQLite file there.

import { createServer } from "node:http";
import { join } from "node:path";
import { InMemorySyncStorage, NodeSqliteWrapper, SQLiteSyncStorage, TLSocketRoom } from "@tldraw/sync-core";
import Database from "better-sqlite3";
import { WebSocketServer } from "ws";
import { schema } from "./tldraw-schema.js";

const [port, directory] = process.argv.slice(2);
const rooms = new Map();
const snapshot = { documents: [], clock: 0, documentClock: 0, schema: schema.serialize() };

function openStorage(name) {
  if (directory === undefined) {
    return new InMemorySyncStorage({ snapshot });
  }
  const sql = new NodeSqliteWrapper(new Database(join(directory, `${name}.db`)));
  return new SQLiteSyncStorage({ sql, snapshot });
}

function openRoom(name) {
  let room = rooms.get(name);
  if (room === undefined) {
    room = new TLSocketRoom({ schema, storage: openStorage(name) });
    rooms.set(name, room);
  }
  return room;
}

const server = createServer();
new WebSocketServer({ server }).on("connection", (socket, request) => {
  const { pathname, searchParams } = new URL(request.url, "http://localhost");
  const sessionId = searchParams.get("sessionId");
  openRoom(pathname.slice(1)).handleSocketConnect({ sessionId, socket });
});
server.listen(Number(port), "127.0.0.1");
