import type { JsonObject } from "helix-flows";
import { useCallback, useEffect, useRef, useState } from "react";

import { api, type NewLink, reasonOf, RestError, type Role, type ShareLink, type TaggedAccess } from "../../api";

/** The parts of the dialog, which tell of their own failures. */
export type Part = "people" | "general" | "links";

/** What is known, as the server said it last: nothing is shown as done that isn't. */
interface Known {
  given: TaggedAccess | null;
  links: readonly ShareLink[] | null;
  /** Where something failed, and why. */
  fault: { part: Part; text: string } | null;
  /** Where something is under way. */
  busy: Part | null;
}

/** Who may do what with a flow, and how that is changed. */
export interface AccessCalls extends Known {
  /** Change what the flow gives; tells whether that was done. */
  change: (part: Part, patch: JsonObject) => Promise<boolean>;
  createLink: (link: { role: Role; expires_in?: number; password?: string }) => Promise<NewLink | null>;
  revokeLink: (id: string) => Promise<boolean>;
}

const OVERTAKEN = "Somebody else has changed who may do what. This is how it is now; your change wasn't made.";

export function useAccess(flowId: string): AccessCalls {
  const [known, setKnown] = useState<Known>({ given: null, links: null, fault: null, busy: null });
  const latest = useRef<TaggedAccess | null>(null);
  /** One request after the other, each with the tag that the one before has left. */
  const turn = useRef<Promise<unknown>>(Promise.resolve());
  const set = useCallback((change: Partial<Known>) => { setKnown((before) => ({ ...before, ...change })); }, []);
  const take = useCallback((given: TaggedAccess) => {
    latest.current = given;
    set({ given });
  }, [set]);

  useEffect(() => {
    let isCurrent = true;
    const told = (part: Part) => (error: unknown): void => {
      if (isCurrent) {
        set({ fault: { part, text: reasonOf(error) } });
      }
    };
    api.access(flowId).then((given) => { if (isCurrent) { take(given); } }, told("people"));
    api.links(flowId).then((links) => { if (isCurrent) { set({ links }); } }, told("links"));
    return () => {
      isCurrent = false;
    };
  }, [flowId, set, take]);

  const inTurn = <T>(part: Part, act: () => Promise<T>, otherwise: T): Promise<T> => {
    const done = turn.current.then(async () => {
      set({ busy: part, fault: null });
      try {
        return await act();
      } catch (error) {
        set({ fault: { part, text: await explained(error) } });
        return otherwise;
      } finally {
        set({ busy: null });
      }
    });
    turn.current = done;
    return done;
  };
  /** Say why something failed, and load what is there now if it has changed meanwhile. */
  const explained = async (error: unknown): Promise<string> => {
    if (!(error instanceof RestError) || error.status !== 412) {
      return reasonOf(error);
    }
    try {
      take(await api.access(flowId));
      return OVERTAKEN;
    } catch (again) {
      return reasonOf(again);
    }
  };

  return {
    ...known,
    change: (part, patch) => inTurn(part, async () => {
      take(await api.changeAccess(flowId, patch, latest.current?.tag ?? null));
      return true;
    }, false),
    createLink: (link) => inTurn("links", async () => {
      const made = await api.createLink(flowId, link);
      set({ links: await api.links(flowId) });
      return made;
    }, null),
    revokeLink: (id) => inTurn("links", async () => {
      await api.revokeLink(flowId, id);
      setKnown((before) => ({ ...before, links: before.links?.filter((one) => one.id !== id) ?? null }));
      return true;
    }, false),
  };
}
