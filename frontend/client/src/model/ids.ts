/** The names of clients: one that is a secret, and one for everybody. */

import { sha256 } from "@noble/hashes/sha2.js";

const LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz";

/** Bytes of a digest that make a public id. */
const PUBLIC_BYTES = 16;

/** Make an id that nobody else has: 120 bits, as 24 letters and digits. */
export function newId(random: () => number): string {
  let id = "";
  for (let n = 0; n < 24; n += 1) {
    id += LETTERS.charAt(Math.floor(random() * LETTERS.length));
  }
  return id;
}

/**
 * Tell what the server calls a client to others, from which nobody finds out its own name.
 *
 * (`crypto.subtle` would tell later, and only where the page came over HTTPS.)
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
