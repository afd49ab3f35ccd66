/** Why the server, or the connection, says no: in the words of the library. */

import type { FlowError } from "../types.js";
import { isObject } from "./mergepatch.js";
import { authorOf } from "./wellformed.js";

export const LOST: FlowError = { reason: "The connection was lost", code: null };
export const UNREACHABLE: FlowError = { reason: "The server can't be reached", code: null };
export const BUSY: FlowError = { reason: "The server takes no changes for now", code: null };
export const NO_HELIX: FlowError = {
  reason: "What answers at this address is no Helix server",
  code: "not_helix",
};
export const BLOCKED: FlowError = {
  reason: "The server is there, but something on the way lets no WebSocket through",
  code: "websocket_blocked",
};
export const ENDED: FlowError = { reason: "The session was ended", code: "session_ended" };
/** The code of what was for another version of the flow than it is at. */
export const OVERTAKEN = "precondition_failed";
export const REPLACED: FlowError = {
  reason: "Another page goes on under this page's name",
  code: "replaced",
};

/** Tell that a flow was deleted, and by whom where that is known. */
export function deletion(by: unknown): FlowError {
  const who = authorOf(by);
  return who !== ""
    ? { reason: `${who} deleted the flow`, code: "flow_deleted", by: who }
    : { reason: "The flow is deleted", code: "flow_deleted" };
}

/** Read why the server refused something. */
export function refusal(response: unknown): FlowError & { retry: boolean } {
  const given = isObject(response) ? response : {};
  const { reason, code, retry } = given;
  return {
    reason: typeof reason === "string" ? reason : "The server gave no reason",
    code: typeof code === "string" ? code : null,
    // Where the server doesn't say, its phx_close will.
    retry: retry !== false,
  };
}
