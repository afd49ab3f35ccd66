/** Imports flows from files, and from the storage of an earlier editor. */

import { type JsonObject, own } from "helix-flows";

import { creating } from "../access/creating";
import { api, reasonOf } from "../api";
import { store, stored, storedKeys } from "../storage";
import { tell } from "../ui/Toasts";

const IMPORTED = "helix-imported";
const PREFIX = "flow-";
const REGISTRY = "flows-registry";

/** The most failures that are told one by one. */
const MOST_TOLD = 5;

/** The results of an import. */
class Outcome {
  readonly #titles: string[] = [];
  readonly #failures: string[] = [];
  #lost = 0;

  /** Import a text as a flow; without a title it gets `title`. Tells whether this worked. */
  async take(text: string, title: string): Promise<boolean> {
    try {
      const { id, dropped, document } = await creating(api.import(text));
      this.#lost += dropped.nodes + dropped.edges;
      this.#titles.push(document.title || title);
      if (document.title === "" && title !== "") {
        // The flow exists in any case, so a missing title isn't a failure.
        await api.patch(id, { title }).catch(() => undefined);
      }
      return true;
    } catch (error) {
      this.#failures.push(`“${title}” can't be imported: ${reasonOf(error)}.`);
      return false;
    }
  }

  tell(): void {
    const [title] = this.#titles;
    if (title !== undefined) {
      const what = this.#titles.length === 1 ? `“${title}”` : `${this.#titles.length} flows`;
      tell(`Imported ${what}${this.#lost > 0 ? `, without ${this.#lost} parts that can't be stored` : ""}.`);
    }
    if (this.#failures.length > 0) {
      const more = this.#failures.length - MOST_TOLD;
      tell([...this.#failures.slice(0, MOST_TOLD), ...(more > 0 ? [`${more} more can't be imported.`] : [])].join("\n"));
    }
  }
}

/** Import files as flows, and report the results. A bad file doesn't affect the others. */
export async function importFiles(files: readonly File[]): Promise<void> {
  const outcome = new Outcome();
  for (const file of files) {
    await outcome.take(await file.text().catch(() => ""), file.name.replace(/\.json$/i, ""));
  }
  outcome.tell();
}

/** A flow that an earlier editor stored. */
export interface LegacyFlow {
  key: string;
  title: string;
  text: string;
}

/** Earlier editors' names for a flow's id and its title. */
const ID_NAMES = ["id", "flowId", "flow_id", "key"];
const TITLE_NAMES = ["title", "name", "label"];

/** Read the flows' titles by id from the registry: a list, an object by id, or either under `flows`. */
function titles(): Map<string, string> {
  const registry = parsed(stored(REGISTRY) ?? "{}");
  const { flows } = registry as { flows?: unknown };
  const entries = typeof flows === "object" && flows !== null ? flows : registry;
  const found = new Map<string, string>();
  for (const [key, entry] of Object.entries(entries) as [string, unknown][]) {
    const fields = (typeof entry === "object" && entry !== null ? entry : {}) as JsonObject;
    const title = typeof entry === "string" ? entry : TITLE_NAMES.map((name) => own(fields, name)).find((one) => typeof one === "string" && one.trim() !== "");
    const id = ID_NAMES.map((name) => own(fields, name)).find((one) => typeof one === "string" || typeof one === "number") ?? key;
    if (typeof title === "string") {
      found.set(String(id), title.trim());
    }
  }
  return found;
}

/** Read an object or a list; if it is broken, the flows have no titles. */
function parsed(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** List the stored flows that weren't imported yet, broken or not. */
export function legacyFlows(): LegacyFlow[] {
  const names = titles();
  const imported = new Set((stored(IMPORTED) ?? "").split("\n"));
  return storedKeys()
    .filter((key) => key.startsWith(PREFIX) && !imported.has(key))
    .map((key) => {
      const id = key.slice(PREFIX.length);
      return { key, text: stored(key) ?? "", title: names.get(id) ?? names.get(key) ?? id };
    });
}

/** Import them. Imported ones aren't offered again, but stay stored. */
export async function importLegacy(flows: readonly LegacyFlow[]): Promise<void> {
  const outcome = new Outcome();
  for (const { key, text, title } of flows) {
    if (await outcome.take(text, title)) {
      forget([key]);
    }
  }
  outcome.tell();
}

/** Don't offer flows again. */
export function forget(keys: readonly string[]): void {
  store(IMPORTED, [...new Set([...(stored(IMPORTED) ?? "").split("\n"), ...keys])].filter(Boolean).join("\n"));
}
