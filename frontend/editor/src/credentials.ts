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

export const credentials: Credentials = isFramed(window, told) ? new Embedding(window, told) : NONE;

/** Give the `token` of one `FlowSync`: what there is for its first connection, and another one each time after that. */
export function tokens(from: Credentials = credentials): () => Promise<string | null> {
  let isFirst = true;
  return () => {
    if (!isFirst) {
      from.forget();
    }
    isFirst = false;
    return from.token();
  };
}
