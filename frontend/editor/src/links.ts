/** Links from nodes' data to other nodes; `kinds.json` lists the fields with links. Pure functions. */

import { own } from "helix-flows";

import { KINDS } from "./kinds";

const LINKS = [...new Set(KINDS.flatMap(({ fields }) => fields.filter(({ form }) => form === "links").map(({ name }) => name)))];

/** Lead a copied node's links to the copies of their targets; links to other nodes stay. */
export function relinked<T extends Readonly<Record<string, unknown>>>(data: T, copies: ReadonlyMap<string, string>): T {
  const led = LINKS.flatMap((name) => {
    const value = own(data, name);
    return Array.isArray(value) ? [[name, (value as unknown[]).map((one) => (typeof one === "string" ? (copies.get(one) ?? one) : one))]] : [];
  });
  return led.length === 0 ? data : { ...data, ...Object.fromEntries(led) as object };
}
