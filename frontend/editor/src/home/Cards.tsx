import { useState } from "react";

import type { ListedFlow } from "../api";
import { FlowCard } from "./FlowCard";
import { useSeen } from "./useSeen";

/** Cards that are drawn at once; more when their end comes in sight. */
const STEP = 48;

interface Props {
  flows: readonly ListedFlow[];
  present: ReadonlyMap<string, number>;
  /** How many changes this browser has of each that no server has. */
  unsent: ReadonlyMap<string, number>;
  onChange: () => void;
}

/** The flows, as many as one has scrolled to. */
export function Cards({ flows, present, unsent, onChange }: Props) {
  const [shown, setShown] = useState(STEP);
  return (
    <>
      <ul className="cards" aria-label="Flows">
        {flows.slice(0, shown).map((flow) => (
          <FlowCard key={flow.id} flow={flow} people={present.get(flow.id) ?? 0} unsent={unsent.get(flow.id) ?? 0} onChange={onChange} />
        ))}
      </ul>
      {shown < flows.length && <More key={shown} rest={flows.length - shown} onMore={() => { setShown(shown + STEP); }} />}
    </>
  );
}

function More({ rest, onMore }: { rest: number; onMore: () => void }) {
  const [element] = useSeen<HTMLButtonElement>(onMore);
  return (
    <button ref={element} className="button more" onClick={onMore}>
      Show more of {rest}
    </button>
  );
}

/** Stands where cards will be. */
export function Skeletons() {
  return (
    <ul className="cards" aria-label="Loading the flows" aria-busy>
      {Array.from({ length: 8 }, (_, n) => (
        <li key={n} className="card skeleton">
          <div className="picture" />
          <div className="words"><i /><i /></div>
        </li>
      ))}
    </ul>
  );
}
