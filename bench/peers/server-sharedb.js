// ShareDB as its documentation starts it: node server-sharedb.js PORT [URL of PostgreSQL]

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import WebSocketJSONStream from "@teamwork/websocket-json-stream";
import ShareDB from "sharedb";
import { WebSocketServer } from "ws";

/** Makes the tables that `sharedb-postgres` wants, by its own script. */
async function openPostgres(connectionString) {
  const require = createRequire(import.meta.url);
  const { default: pg } = await import("pg");
  const { default: PostgresDB } = await import("sharedb-postgres");
  const client = new pg.Client({ connectionString });
  await client.connect();
  await client.query(readFileSync(require.resolve("sharedb-postgres/structure.sql"), "utf8"));
  await client.end();
  return new PostgresDB({ connectionString });
}

const [port, url] = process.argv.slice(2);
const backend = new ShareDB({
  ...(url === undefined ? {} : { db: await openPostgres(url) }),
  presence: true,
  doNotForwardSendPresenceErrorsToClient: true,
});
const server = createServer();
new WebSocketServer({ server }).on("connection", (socket) => {
  const stream = new WebSocketJSONStream(socket);
  stream.on("error", () => {});
  backend.listen(stream);
});
server.listen(Number(port), "127.0.0.1");
