/** The token that this page has, if any, for REST and for the client library. */

import { Embedding, isFramed } from "./embedding";
import { told } from "./told";

/** A way in which a page gets a token. The token is never stored, and never in an address. */
export interface Credentials {
  /**
   * Give the token; `null` if this page has none, and so comes as the browser's cookie says, or as nobody.
   *
   * @throws (through the promise, within seconds) if it needs one and gets none; the message is for people.
   */
  token(): Promise<string | null>;
  /** Call `listener` when there is another token. Returns a function that ends this. */
  subscribe(listener: () => void): () => void;
  /** The token holds no more: the next call of `token` gets another one. */
  forget(): void;
}

/** Pages that have no token. */
const NONE: Credentials = {
  token: () => Promise.resolve(null),
  subscribe: () => () => undefined,
  forget: () => undefined,
};

/** What the page has for all flows. */
export const ownCredentials: Credentials = isFramed(window, told) ? new Embedding(window, told) : NONE;

let guest: Credentials | null = null;

/** What the page comes with: a guest's token, while it shows a flow to a guest. */
export const credentials: Credentials = {
  token: () => (guest ?? ownCredentials).token(),
  subscribe: (listener) => ownCredentials.subscribe(listener),
  forget: () => { (guest ?? ownCredentials).forget(); },
};

/** Tell whether the page comes as a guest. */
export const isGuest = (): boolean => guest !== null;

/** Come as a guest from now on. Returns a function that ends this. */
export function comeAs(other: Credentials): () => void {
  guest = other;
  return () => {
    if (guest === other) {
      guest = null;
    }
  };
}

/** Give the `token` of one `FlowSync`: what there is for its first connection, and another one each time after that. */
export function tokens(from: Credentials = ownCredentials): () => Promise<string | null> {
  let isFirst = true;
  return () => {
    if (!isFirst) {
      from.forget();
    }
    isFirst = false;
    return from.token();
  };
}
