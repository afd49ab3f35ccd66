/** What the tests of a file mount by React, each on a clock of its own. */

import { act } from "react";
import type { Root } from "react-dom/client";
import { afterEach, beforeEach, vi } from "vitest";

/** Give a list for the roots of each test of a file, which are unmounted when it ends. */
export function rootsOfTests(): Root[] {
  const roots: Root[] = [];

  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
  });

  afterEach(() => {
    act(() => {
      roots.splice(0).forEach((root) => {
        root.unmount();
      });
    });
    vi.clearAllTimers();
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });
  return roots;
}
