// The clients, by the names that `bench/peers.py` has for them: only the one that is wanted is loaded.

export const CLIENTS = {
  helix: async (...where) => (await import("./client-helix.js")).joinHelix(...where),
  hocuspocus: async (...where) => (await import("./client-yjs.js")).joinHocuspocus(...where),
  sharedb: async (...where) => (await import("./client-sharedb.js")).joinShareDB(...where),
  tldraw: async (...where) => (await import("./client-tldraw.js")).joinTldraw(...where),
  "y-websocket": async (...where) => (await import("./client-yjs.js")).joinYWebsocket(...where),
};
