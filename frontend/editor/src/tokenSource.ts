/** A way in which a page gets a token. The token is never stored, and never in an address. */
export interface TokenSource {
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
