/** Errors of the connection and refusals of the server, with the library's own texts. */

import type { FlowError } from "../types.js";
import { isObject } from "./mergepatch.js";
import { authorOf } from "./wellformed.js";

export const LOST: FlowError = { reason: "The connection was lost", code: null };
export const UNREACHABLE: FlowError = { reason: "The server can't be reached", code: null };
export const BUSY: FlowError = { reason: "The server accepts no changes right now", code: null };
export const NO_HELIX: FlowError = {
  reason: "The server at this address isn't a Helix server",
  code: "not_helix",
};
export const BLOCKED: FlowError = {
  reason: "The server answers, but something on the way blocks WebSockets",
  code: "websocket_blocked",
};
export const ENDED: FlowError = { reason: "The session was ended", code: "session_ended" };
/** The code of what this client may not do. */
export const FORBIDDEN = "forbidden";
/** The code of an error that ends a membership because one may not see the flow any more. */
export const REVOKED = "access_revoked";
/** The codes of errors that close a flow to this client, though it may be opened to it again. */
export const GONE: ReadonlySet<string> = new Set(["flow_not_found", REVOKED]);
/** The code of a refused operation whose `if_version` isn't the flow's version. */
export const OVERTAKEN = "precondition_failed";
export const REPLACED: FlowError = {
  reason: "Another page has taken over this page's client id",
  code: "replaced",
};

/** Make the error that a flow was deleted, and by whom if known. */
export function deletion(by: unknown): FlowError {
  const who = authorOf(by);
  return who !== ""
    ? { reason: `${who} deleted the flow`, code: "flow_deleted", by: who }
    : { reason: "The flow is deleted", code: "flow_deleted" };
}

/** Make the error that one may not see the flow any more. */
export function revocation(reason: unknown): FlowError {
  return { reason: typeof reason === "string" ? reason : "You no longer have access to this flow", code: REVOKED };
}

/** Read why the server refused something. */
export function refusal(response: unknown): FlowError & { retry: boolean } {
  const given = isObject(response) ? response : {};
  const { reason, code, retry } = given;
  return {
    reason: typeof reason === "string" ? reason : "The server gave no reason",
    code: typeof code === "string" ? code : null,
    // If the server doesn't say so, its phx_close will.
    retry: retry !== false,
  };
}
