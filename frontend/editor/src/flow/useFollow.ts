import { useReactFlow } from "@xyflow/react";
import type { SyncedFlow } from "helix-flows";
import { useEffect, useState } from "react";

const DURATION = 200;

/** Follow somebody's pointer, until one moves the canvas oneself or they leave. */
export function useFollow(sync: SyncedFlow) {
  const [followed, follow] = useState<string | null>(null);
  const { setCenter, getZoom } = useReactFlow();
  useEffect(() => {
    if (followed === null) {
      return;
    }
    let last = "";
    const look = (): void => {
      const { members, cursors } = sync.state;
      if (!members.some(({ clientId }) => clientId === followed)) {
        follow(null);
        return;
      }
      const cursor = cursors.get(followed);
      const at = cursor === undefined ? "" : `${cursor.x} ${cursor.y}`;
      if (cursor !== undefined && at !== last) {
        last = at;
        void setCenter(cursor.x, cursor.y, { zoom: getZoom(), duration: DURATION });
      }
    };
    look();
    return sync.subscribe(look);
  }, [followed, sync, setCenter, getZoom]);
  return { followed, follow };
}
