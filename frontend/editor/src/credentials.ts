/** The token that this page has, if any, for REST and for the client library. */

import { Embedding, isFramed } from "./embedding";
import { told } from "./told";
import type { TokenSource } from "./tokenSource";

/** Pages that have no token. */
const NONE: TokenSource = {
  token: () => Promise.resolve(null),
  subscribe: () => () => undefined,
  forget: () => undefined,
};

/** What the page has for all flows. */
export const ownCredentials: TokenSource = isFramed(window, told) ? new Embedding(window, told) : NONE;

let guest: TokenSource | null = null;

/** What the page comes with: a guest's token, while it shows a flow to a guest. */
export const credentials: TokenSource = {
  token: () => (guest ?? ownCredentials).token(),
  subscribe: (listener) => ownCredentials.subscribe(listener),
  forget: () => { (guest ?? ownCredentials).forget(); },
};

/** Tell whether the page comes as a guest. */
export const isGuest = (): boolean => guest !== null;

/** Come as a guest from now on. Returns a function that ends this. */
export function comeAs(other: TokenSource): () => void {
  guest = other;
  return () => {
    if (guest === other) {
      guest = null;
    }
  };
}

/** Give the `token` of one `FlowSync`: what there is for its first connection, and another one each time after that. */
export function tokens(from: TokenSource = ownCredentials): () => Promise<string | null> {
  let isFirst = true;
  return () => {
    if (!isFirst) {
      from.forget();
    }
    isFirst = false;
    return from.token();
  };
}
