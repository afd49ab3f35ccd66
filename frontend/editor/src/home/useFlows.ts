import { useCallback, useEffect, useState } from "react";

import { api, type FlowList, reasonOf } from "../api";
import { readQuery } from "./query";

/** Milliseconds between looks at what there is, and who is where. */
const REFRESH = 5_000;

/** Milliseconds for which somebody may pause in what they type before it is looked for. */
const PAUSE = 150;

const NOBODY: ReadonlyMap<string, number> = new Map();

/** What is known of the flows, and of the newest attempt to know it. */
interface Known {
  list: FlowList | null;
  present: ReadonlyMap<string, number>;
  /** Why the newest attempt failed; `null` where it didn't. */
  error: string | null;
}

/**
 * The flows that a search finds, as `readQuery` reads it, asked for again and again while they are in sight.
 *
 * @param most how many are listed.
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
