/** What the server has written into the page. */

import { own } from "helix-flows";

export interface Told {
  /** The path below which everything is, without a slash at its end: `/helix`; mostly empty. */
  readonly base: string;
  /** The origins whose pages may show this one in a frame. */
  readonly ancestors: readonly string[];
  /** Nobody has to show who they are. */
  readonly anyone: boolean;
  /** The server takes tokens. */
  readonly tokens: boolean;
}

/** Read it; without it, as from Vite's server, the page stands alone at the root. */
export function readTold(text: string | null | undefined): Told {
  const given: unknown = JSON.parse(text ?? "{}");
  const value = (name: keyof Told): unknown => own(given as Readonly<Record<string, unknown>>, name);
  const [base, ancestors] = [value("base"), value("ancestors")];
  return {
    base: typeof base === "string" ? base : "",
    ancestors: Array.isArray(ancestors) ? ancestors.filter((one) => typeof one === "string") : [],
    anyone: value("anyone") !== false,
    tokens: value("tokens") === true,
  };
}

export const told = readTold(document.querySelector<HTMLMetaElement>('meta[name="helix"]')?.content);
