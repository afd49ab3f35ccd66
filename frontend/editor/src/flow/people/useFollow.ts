import { type Rect, useOnViewportChange, useReactFlow, useStore, useStoreApi } from "@xyflow/react";
import type { SyncedFlow } from "helix-flows";
import { useFlowState } from "helix-flows/react";
import { useCallback, useEffect, useRef, useState } from "react";

import { tell } from "../../ui/Toasts";
import { viewOf } from "./people";

const DURATION = 200;

export interface Following {
  /** The key of the followed person; `null` for nobody. */
  followed: string | null;
  follow: (key: string | null) => void;
}

/**
 * Follow somebody: show what they see, until the user moves the canvas or they leave.
 *
 * A page sends its view only while somebody follows it. A program that sends no view is followed by its
 * pointer.
 */
export function useFollow(sync: SyncedFlow): Following {
  const [followed, follow] = useState<string | null>(null);
  const { fitBounds, setCenter, getZoom } = useReactFlow();
  const store = useStoreApi();
  /** Whether the canvas is about to move because of the followed person. */
  const isMoved = useRef(false);
  const given = useRef<Rect | null>(null);
  const self = useFlowState(sync, ({ members }) => members.find(({ isSelf }) => isSelf));
  const isFollowed = useFlowState(sync, ({ members }) => members.some((one) => !one.isSelf && one.meta["following"] === self?.key));

  const show = useCallback((): void => {
    const { width, height, transform: [x, y, zoom] } = store.getState();
    // A follower passes on the view that it was given, so that two who follow each other come to rest.
    const own = { x: -x / zoom, y: -y / zoom, width: width / zoom, height: height / zoom };
    sync.setPresence({ view: given.current ?? own });
  }, [store, sync]);
  const seen = useStore(({ width, height, transform }) => (isFollowed ? [width, height, ...transform].join() : ""));
  useEffect(() => {
    if (seen !== "") {
      show();
    }
  }, [seen, show]);
  useOnViewportChange({
    onStart: () => {
      if (!isMoved.current) {
        follow(null);
      }
      isMoved.current = false;
    },
  });

  useEffect(() => {
    if (followed === null) {
      return;
    }
    let last = "";
    let name = "";
    const move = (view: Rect | null, cursor: { x: number; y: number } | undefined): void => {
      isMoved.current = view !== null || cursor !== undefined;
      if (view !== null) {
        void fitBounds(view, { padding: 0, duration: DURATION });
      } else if (cursor !== undefined) {
        void setCenter(cursor.x, cursor.y, { zoom: getZoom(), duration: DURATION });
      }
    };
    const look = (): void => {
      const { members, cursors } = sync.state;
      const theirs = members.filter(({ key }) => key === followed);
      // Of several tabs, the one with their pointer.
      const member = theirs.find(({ clientId }) => cursors.has(clientId)) ?? theirs[0];
      if (member === undefined) {
        // Offline, nobody is listed.
        if (members.length > 0) {
          tell(`${name} left.`);
          follow(null);
        }
        return;
      }
      name = member.name;
      const view = viewOf(member);
      const cursor = cursors.get(member.clientId);
      const now = JSON.stringify(view ?? [cursor?.x, cursor?.y]);
      if (now !== last) {
        last = now;
        given.current = view;
        move(view, cursor);
      }
    };
    const press = ({ key }: KeyboardEvent): void => {
      if (key === "Escape") {
        follow(null);
      }
    };
    sync.setPresence({ following: followed });
    look();
    const end = sync.subscribe(look);
    addEventListener("keydown", press);
    return () => {
      end();
      removeEventListener("keydown", press);
      given.current = null;
      sync.setPresence({ following: null });
    };
  }, [followed, sync, fitBounds, setCenter, getZoom]);
  return { followed, follow };
}
