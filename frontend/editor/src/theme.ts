/** The theme, light or dark: the system's, until the user chooses. */

import { useSyncExternalStore } from "react";

import { store, stored, unstore } from "./storage";

export type Theme = "light" | "dark";

const KEY = "helix-theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();
let chosen: string | null = null;
let ofSystem: Theme = "light";

/** Read the system's theme, at the start and at each event alone: in Chromium, who reads it before the event takes that away. */
function readSystem(): void {
  ofSystem = system.matches ? "dark" : "light";
}

function current(): Theme {
  return chosen === "light" || chosen === "dark" ? chosen : ofSystem;
}

function show(): void {
  document.documentElement.dataset["theme"] = current();
  for (const listener of listeners) {
    listener();
  }
}

/** Show the theme, and follow the system and choices in other tabs. */
export function startTheme(): void {
  chosen = stored(KEY);
  readSystem();
  system.addEventListener("change", () => {
    readSystem();
    show();
  });
  addEventListener("storage", ({ key, newValue }) => {
    if (key === KEY) {
      chosen = newValue;
      show();
    }
  });
  show();
}

/** Choose the other theme. Choosing the system's theme means following the system again. */
export function toggleTheme(): void {
  const wanted = current() === "dark" ? "light" : "dark";
  if (wanted === ofSystem) {
    chosen = null;
    unstore(KEY);
  } else {
    chosen = wanted;
    store(KEY, wanted);
  }
  show();
}

/** The theme; the component renders again when it changes. */
export function useTheme(): Theme {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, current);
}
