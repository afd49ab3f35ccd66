/** Light or dark: the system's, until one chooses. */

import { useSyncExternalStore } from "react";

import { store, stored } from "./storage";

export type Theme = "light" | "dark";

const KEY = "helix-theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();
let chosen: string | null = null;

function current(): Theme {
  if (chosen === "light" || chosen === "dark") {
    return chosen;
  }
  return system.matches ? "dark" : "light";
}

function show(): void {
  document.documentElement.dataset["theme"] = current();
  for (const listener of listeners) {
    listener();
  }
}

/** Show the theme, and follow the system. */
export function startTheme(): void {
  chosen = stored(KEY);
  system.addEventListener("change", show);
  show();
}

/** Choose the other one. */
export function toggleTheme(): void {
  chosen = current() === "dark" ? "light" : "dark";
  store(KEY, chosen);
  show();
}

/** The theme, rendered anew when it changes. */
export function useTheme(): Theme {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, current);
}

