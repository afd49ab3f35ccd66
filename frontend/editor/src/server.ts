/** The server of this page, for the client library. */

import { BrowserKeeper } from "helix-flows";

import { told } from "./told";

/** Give where it is, and what stores its flows. */
export const server = (): { url: string; keeper: BrowserKeeper } => ({
  url: location.origin + told.base,
  // Another server may be below another path of the same origin.
  keeper: new BrowserKeeper(`helix-flows${told.base}`),
});
