/** Flows that come from files, or from what an earlier generation of the editor kept in this browser. */

import { api, reasonOf } from "../api";
import { store, stored } from "../storage";
import { tell } from "../ui/Toasts";

const IMPORTED = "helix-imported";

/** Make flows of files, and tell what became of them. */
export async function importTexts(files: readonly { name: string; text: () => Promise<string> }[]): Promise<void> {
  for (const file of files) {
    try {
      const { dropped, document } = await api.import(await file.text());
      const lost = dropped.nodes + dropped.edges;
      tell(`Imported “${document.title || file.name}”${lost > 0 ? `, without ${lost} parts that can't be kept` : ""}.`);
    } catch (error) {
      tell(`${file.name} can't be imported: ${reasonOf(error)}`);
    }
  }
}

/** A flow that an earlier generation kept. */
export interface LegacyFlow {
  key: string;
  title: string;
  text: string;
}

/** What the registry calls the flows, by id; it was a list, or an object by id. */
function titles(): Map<string, string> {
  const found = new Map<string, string>();
  try {
    const registry: unknown = JSON.parse(stored("flows-registry") ?? "[]");
    const entries = Object.entries(registry as Record<string, { id?: string; title?: string; name?: string }>);
    for (const [key, { id, title, name }] of entries) {
      found.set(id ?? key, title ?? name ?? "");
    }
  } catch {
    // The flows are there without their titles.
  }
  return found;
}

/** List what is there and wasn't imported yet. */
export function legacyFlows(): LegacyFlow[] {
  const names = titles();
  const imported = new Set((stored(IMPORTED) ?? "").split("\n"));
  const flows: LegacyFlow[] = [];
  for (let n = 0; n < localStorage.length; n += 1) {
    const key = localStorage.key(n) ?? "";
    const text = key.startsWith("flow-") && !imported.has(key) ? (stored(key) ?? "") : "";
    if (text.includes('"nodes"')) {
      const id = key.slice("flow-".length);
      flows.push({ key, text, title: names.get(id) ?? id });
    }
  }
  return flows;
}

/** Import them; those that could be are not offered again. They stay where they are. */
export async function importLegacy(flows: readonly LegacyFlow[]): Promise<void> {
  for (const { key, text, title } of flows) {
    try {
      const { id } = await api.import(text);
      await api.patch(id, { title });
      forget([key]);
    } catch (error) {
      tell(`“${title}” can't be imported: ${reasonOf(error)}`);
    }
  }
}

/** Don't offer flows again. */
export function forget(keys: readonly string[]): void {
  store(IMPORTED, [...new Set([...(stored(IMPORTED) ?? "").split("\n"), ...keys])].filter(Boolean).join("\n"));
}
