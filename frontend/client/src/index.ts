/** The client of Helix: a flow in step with its server, without React. */

export { connecting, connectionId, reconnecting } from "./connections";
export { compareIds, emptyDocument } from "./document";
export { BrowserKeeper } from "./keeper";
export { diff, inverse, merge, own, same } from "./mergepatch";
export { strays } from "./nesting";
export { sanitizeEdge, sanitizeNode } from "./sanitizing";
export { FlowSync } from "./sync";
export { mergeTexts, placeAfter } from "./texts";
export type * from "./types";
export { Unsent } from "./unsent";
export { wellFormed } from "./wellformed";
