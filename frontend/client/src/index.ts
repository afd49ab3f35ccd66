/** The client of Helix: a flow in step with its server, without React. */

export { connecting, connectionId, reconnecting } from "./model/connections";
export { compareIds, emptyDocument } from "./model/document";
export { BrowserKeeper } from "./sync/keeper";
export { diff, inverse, merge, own, same } from "./model/mergepatch";
export { strays } from "./model/nesting";
export { sanitizeEdge, sanitizeNode } from "./model/sanitizing";
export { FlowSync } from "./sync/sync";
export { mergeTexts, placeAfter } from "./model/texts";
export type * from "./types";
export { Unsent } from "./sync/unsent";
export { wellFormed } from "./model/wellformed";
