/** The Helix client without React: keeps a flow in step with its server. */

export { connecting, connectionId, reconnecting } from "./model/connections.js";
export { isPoint } from "./model/checks.js";
export { compareIds, emptyDocument } from "./model/document.js";
export { BrowserKeeper } from "./sync/keeper.js";
export { diff, inverse, merge, own, same } from "./model/mergepatch.js";
export { type DocumentPath, firstOutside, mayChange, readPaths } from "./model/paths.js";
export { strays } from "./model/nesting.js";
export { sanitizeEdge, sanitizeNode } from "./model/sanitizing.js";
export { FlowSync } from "./sync/sync.js";
export { mergeTexts, placeAfter } from "./model/texts.js";
export type * from "./types.js";
export { Unsent } from "./sync/unsent.js";
export { authorOf, wellFormed } from "./model/wellformed.js";
