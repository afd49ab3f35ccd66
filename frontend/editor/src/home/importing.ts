/** Flows that come from files, or from what an earlier generation of the editor kept in this browser. */

import { type JsonObject, own } from "helix-flows";

import { api, reasonOf } from "../api";
import { store, stored, storedKeys } from "../storage";
import { tell } from "../ui/Toasts";

const IMPORTED = "helix-imported";
const PREFIX = "flow-";
const REGISTRY = "flows-registry";

/** What became of some texts. */
class Outcome {
  readonly #titles: string[] = [];
  readonly #failures: string[] = [];
  #lost = 0;

  /** Make a flow of a text; one without a title is given `title`. Tells whether it could be. */
  async take(text: string, title: string): Promise<boolean> {
    try {
      const { id, dropped, document } = await api.import(text);
      this.#lost += dropped.nodes + dropped.edges;
      this.#titles.push(document.title || title);
      if (document.title === "" && title !== "") {
        // It is there in any case: without its title it is no failure.
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
      tell(this.#failures.join("\n"));
    }
  }
}

/** Make flows of files, and tell what became of them. One that can't be read harms no other. */
export async function importFiles(files: readonly File[]): Promise<void> {
  const outcome = new Outcome();
  for (const file of files) {
    await outcome.take(await file.text().catch(() => ""), file.name.replace(/\.json$/i, ""));
  }
  outcome.tell();
}

/** A flow that an earlier generation kept. */
export interface LegacyFlow {
  key: string;
  title: string;
  text: string;
}

/** How pages of earlier generations called a flow's id, and its title. */
const ID_NAMES = ["id", "flowId", "flow_id", "key"];
const TITLE_NAMES = ["title", "name", "label"];

/** What the registry calls the flows, by id: it was a list, an object by id, or has either as its `flows`. */
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

/** Read an object or a list; where it is broken, flows are there without their titles. */
function parsed(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** List what is there and wasn't imported yet, broken or not. */
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

/** Import them; those that could be are not offered again. They stay where they are. */
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
