// @vitest-environment jsdom
/** The theme is the system's, until somebody chooses. */

import { act } from "react";
import { afterEach, describe, expect, it, vi } from "vitest";

import { show, standIn } from "./page";

vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);

/** The system's theme as Chromium tells it: in the next frame, unless its new value has been read by then. */
class SystemTheme {
  listeners: (() => void)[] = [];
  isDark = false;
  read = false;

  get matches(): boolean {
    this.read = this.isDark;
    return this.isDark;
  }

  addEventListener(_: string, listener: () => void): void {
    this.listeners.push(listener);
  }

  frame(): void {
    if (this.read !== this.isDark) {
      this.listeners.forEach((listener) => { listener(); });
    }
  }
}

afterEach(() => { vi.unstubAllGlobals(); });

describe("EDI17: the theme", () => {
  it("follows the system, though something is drawn just before the page hears of it", async () => {
    const system = new SystemTheme();
    standIn();
    vi.stubGlobal("matchMedia", () => system);
    const { startTheme, toggleTheme, useTheme } = await import("../src/theme");
    const Shown = (): string => useTheme();
    const root = document.documentElement;
    startTheme();
    const page = show([], <Shown />);
    expect([root.dataset["theme"], page.textContent]).toEqual(["light", "light"]);
    for (const theme of ["dark", "light", "dark"]) {
      system.isDark = theme === "dark";
      show([], <Shown />);
      act(() => { system.frame(); });
      expect([root.dataset["theme"], page.textContent]).toEqual([theme, theme]);
    }
    act(() => { toggleTheme(); });
    expect([root.dataset["theme"], page.textContent]).toEqual(["light", "light"]);
  });
});
