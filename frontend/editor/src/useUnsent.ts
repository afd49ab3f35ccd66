import type { Unsent, UnsentFlow } from "helix-flows";
import { useEffect, useState } from "react";

interface Known {
  unsent: Unsent | null;
  flows: readonly UnsentFlow[];
}

const NOTHING: Known = { unsent: null, flows: [] };

/** Send and list this browser's unsent changes of flows that aren't open; `except` is the one that is open here. */
export function useUnsent(except?: string): Known {
  const [known, setKnown] = useState(NOTHING);
  useEffect(() => {
    let isCurrent = true;
    let end = (): void => undefined;
    // Its code is loaded after the first screen.
    void import("./sending").then(({ sendUnsent }) => {
      if (isCurrent) {
        const unsent = sendUnsent(except);
        const leave = unsent.subscribe(() => { setKnown({ unsent, flows: unsent.flows }); });
        end = (): void => {
          leave();
          unsent.stop();
        };
      }
    }, () => undefined);
    return () => {
      isCurrent = false;
      end();
    };
  }, [except]);
  return known;
}
