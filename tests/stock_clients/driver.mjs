// Drives one version of the stock `phoenix` client for the tests.
//
//     node driver.mjs phoenix17
//
// Commands come as JSON lines on stdin, `{"do": "<a key of commands>", ...}`; what the client does is
// reported as JSON lines on stdout, `{"from": "<socket, channel or push>", "is": "...", ...}`. The
// tests name every socket, channel and push themselves.

import { createInterface } from "node:readline";
import { XMLHttpRequest } from "./xhr.mjs";

const version = process.argv[2];

// stdout is for reports alone, and phoenix.js logs to the console.
console.log = console.error;

// Phoenix 1.7 takes its globals from `self` when it is imported, and knows no fetch.
if (version === "phoenix17") {
  globalThis.self = globalThis;
  globalThis.XMLHttpRequest = XMLHttpRequest;
}

const { LongPoll, Presence, Socket } = await import(version);

/** Fails as a browser's WebSocket does where a proxy lets none through. */
class BlockedWebSocket {
  readyState = 0;

  constructor() {
    setTimeout(() => {
      this.readyState = 3;
      this.onerror(new Event("error"));
      this.onclose({ code: 1006, reason: "", wasClean: false });
    });
  }

  close() {}
}

const transports = { websocket: WebSocket, longpoll: LongPoll, blocked: BlockedWebSocket };

class Storage {
  items = {};

  getItem(key) {
    return this.items[key] ?? null;
  }

  setItem(key, value) {
    this.items[key] = value;
  }
}

const sockets = {};
const channels = {};
const presences = {};
const storages = {};
const nextParams = {};

function report(from, is, details = {}) {
  const text = JSON.stringify({ from, is, ...details }, (_key, value) =>
    value instanceof ArrayBuffer ? { binary: Buffer.from(value).toString("base64") } : value,
  );
  process.stdout.write(`${text}\n`);
}

// While requests are held, the client is like a laptop that sleeps.
let held = null;
let release = null;
const plainFetch = globalThis.fetch;
globalThis.fetch = async (...request) => {
  await held;
  return plainFetch(...request);
};

const listed = (presence) => presence.list((key, { metas }) => ({ key, metas }));

/** Makes the client's `Presence` of a channel, which must not have been joined yet. */
function watchPresence(name, channel) {
  const presence = new Presence(channel);
  presences[name] = presence;
  presence.onJoin((key, current) =>
    report(name, "came", { key, metas: current ? current.metas.length : 0 }),
  );
  presence.onLeave((key, current) => report(name, "went", { key, metas: current.metas.length }));
  presence.onSync(() => report(name, "sync", { present: listed(presence) }));
}

const commands = {
  connect({ socket: name, url, transport, reconnectAfterMs, rejoinAfterMs, hasFrames = true, ...options }) {
    storages[name] = new Storage();
    const socket = new Socket(url, {
      transport: transports[transport],
      sessionStorage: storages[name],
      reconnectAfterMs: reconnectAfterMs && (() => reconnectAfterMs),
      rejoinAfterMs: rejoinAfterMs && (() => rejoinAfterMs),
      ...options,
    });
    socket.onOpen(() => report(name, "open"));
    socket.onError(() => report(name, "error"));
    socket.onClose((event) => report(name, "close", { code: event.code }));
    if (hasFrames) {
      socket.onMessage(({ join_ref, ref, topic, event, payload }) =>
        report(name, "frame", { frame: [join_ref, ref, topic, event, payload] }),
      );
    }
    sockets[name] = socket;
    socket.connect();
  },

  disconnect({ socket: name }) {
    sockets[name].disconnect(() => report(name, "disconnected"));
  },

  send({ socket, frame: [join_ref, ref, topic, event, payload] }) {
    sockets[socket].push({ join_ref, ref, topic, event, payload });
  },

  look({ socket: name }) {
    const socket = sockets[name];
    report(name, "look", {
      state: socket.connectionState(),
      transport: socket.transport === LongPoll ? "longpoll" : "websocket",
      protocol: socket.conn?.protocol,
      channels: socket.channels.map(({ topic, state }) => ({ topic, state })),
      storage: storages[name].items,
    });
  },

  params({ channel, params }) {
    nextParams[channel] = params;
  },

  join({ socket, channel: name, topic, params, presence, events }) {
    nextParams[name] = params;
    const channel = sockets[socket].channel(topic, () => {
      report(name, "params", { params: nextParams[name] });
      return nextParams[name];
    });
    channel.onMessage = (event, payload) => {
      if (events ? events.includes(event) : !event.startsWith("chan_reply_")) {
        report(name, "event", { event, payload });
      }
      return payload;
    };
    channels[name] = channel;
    if (presence) {
      watchPresence(name, channel);
    }
    const push = channel.join();
    for (const status of ["ok", "error", "timeout"]) {
      push.receive(status, (response) => report(name, "join", { status, response }));
    }
  },

  presence({ channel }) {
    report(channel, "present", { present: listed(presences[channel]) });
  },

  push({ channel, push: name, event, payload, binary }) {
    const data = binary === undefined ? payload : new Uint8Array(Buffer.from(binary, "base64")).buffer;
    const push = channels[channel].push(event, data);
    for (const status of ["ok", "error", "timeout"]) {
      push.receive(status, (response) => report(name, "reply", { status, response }));
    }
  },

  leave({ channel }) {
    channels[channel].leave();
  },

  hold() {
    held = new Promise((resolve) => {
      release = resolve;
    });
  },

  release() {
    held = null;
    release();
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  commands[command.do](command);
}
process.exit(0);
