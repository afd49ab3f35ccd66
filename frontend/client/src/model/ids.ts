/** Client ids: a secret one, and a public one made from it. */

import { sha256 } from "@noble/hashes/sha2.js";

const LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz";

/** How many bytes of a digest make a public id. */
const PUBLIC_BYTES = 16;

/** Make a unique id: 120 bits, as 24 letters and digits. */
export function newId(random: () => number): string {
  let id = "";
  for (let n = 0; n < 24; n += 1) {
    id += LETTERS.charAt(Math.floor(random() * LETTERS.length));
  }
  return id;
}

/**
 * Give a client's public id, which the server sends to others. The secret id can't be found from it.
 *
 * (`crypto.subtle` is asynchronous, and exists only on pages from HTTPS.)
 *
 * @returns the first 16 bytes of its SHA-256 as base64url, 22 characters.
 */
export function publicId(secret: string): string {
  return digits(sha256(new TextEncoder().encode(secret)).subarray(0, PUBLIC_BYTES));
}

/** Write bytes as base64url. */
export function digits(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
