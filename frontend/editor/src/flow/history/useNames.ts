import { useEffect, useState } from "react";

import { api, type NamedVersion } from "../../api";

/**
 * The named versions of a flow, the newest first.
 *
 * @param changed - a new value whenever they may have changed.
 */
export function useNames(flowId: string, changed: number): readonly NamedVersion[] {
  const [names, setNames] = useState<readonly NamedVersion[]>([]);
  useEffect(() => {
    let isCurrent = true;
    // Without an answer they stay as they were; the next change asks again.
    api.namedVersions(flowId).then((found) => { if (isCurrent) { setNames(found); } }, () => undefined);
    return () => {
      isCurrent = false;
    };
  }, [flowId, changed]);
  return names;
}
