import { useCallback, useEffect, useState } from "react";

import { api, type FlowList, reasonOf } from "../api";
import { readQuery } from "./query";

/** Milliseconds between refreshes of the flows and their people. */
const REFRESH = 5_000;

/** Milliseconds of pause in typing after which a search starts. */
const PAUSE = 150;

const NOBODY: ReadonlyMap<string, number> = new Map();

/** The known flows, and the result of the newest request. */
interface Known {
  list: FlowList | null;
  present: ReadonlyMap<string, number>;
  /** Why the newest request failed; `null` if it didn't. */
  error: string | null;
}

/**
 * The flows that a search finds, as `readQuery` reads it; refreshed while the page is visible.
 *
 * @param most how many to list.
 */
export function useFlows(search: string, most: number): Known & { reload: () => void } {
  const [known, setKnown] = useState<Known>({ list: null, present: NOBODY, error: null });
  const [turn, setTurn] = useState(0);
  const reload = useCallback(() => { setTurn((now) => now + 1); }, []);
  useEffect(() => {
    let isCurrent = true;
    const look = async (): Promise<void> => {
      const { words, filter } = readQuery(search);
      try {
        const [list, present] = await Promise.all([api.flows(words, { ...filter }, most), api.present()]);
        if (isCurrent) {
          setKnown({ list, present, error: null });
        }
      } catch (error) {
        if (isCurrent) {
          setKnown((before) => ({ ...before, error: reasonOf(error) }));
        }
      }
    };
    const soon = setTimeout(() => void look(), turn === 0 && search === "" ? 0 : PAUSE);
    const again = setInterval(() => {
      if (document.visibilityState === "visible") {
        void look();
      }
    }, REFRESH);
    document.addEventListener("visibilitychange", reload);
    return () => {
      isCurrent = false;
      clearTimeout(soon);
      clearInterval(again);
      document.removeEventListener("visibilitychange", reload);
    };
  }, [search, most, turn, reload]);
  return { ...known, reload };
}
