/** Links in nodes' data to other nodes, as `kinds.json` says which fields have them. Pure functions. */

import { own } from "helix-flows";

import { KINDS } from "./kinds";

const LINKS = [...new Set(KINDS.flatMap(({ fields }) => fields.filter(({ form }) => form === "links").map(({ name }) => name)))];

/** Lead the links of a node that is copied to the copies of what they name; to what isn't copied they stay. */
export function relinked<T extends Readonly<Record<string, unknown>>>(data: T, copies: ReadonlyMap<string, string>): T {
  const led = LINKS.flatMap((name) => {
    const value = own(data, name);
    return Array.isArray(value) ? [[name, (value as unknown[]).map((one) => (typeof one === "string" ? (copies.get(one) ?? one) : one))]] : [];
  });
  return led.length === 0 ? data : { ...data, ...Object.fromEntries(led) as object };
}
