/** How everything is brought into sight: beside what floats over the canvas, and not too small to read. */

import type { FitViewOptions } from "@xyflow/react";

const ANIMATION = 180;

const isNarrow = matchMedia("(max-width: 720px)").matches;

export const FIT: FitViewOptions = {
  padding: isNarrow ? 0.1 : { left: "208px", right: "32px", top: "32px", bottom: "80px" },
  minZoom: 0.3,
  maxZoom: 1,
};

/** As `FIT`, for those who are looking on. */
export const FIT_SMOOTHLY: FitViewOptions = { ...FIT, minZoom: 0.1, duration: ANIMATION };
