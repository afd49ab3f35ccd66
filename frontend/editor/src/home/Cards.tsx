import { Trash2 } from "lucide-react";
import { useState } from "react";

import { flowPath, follow } from "../address";
import { api, type ListedFlow, may, reasonOf } from "../api";
import { Guard } from "../Guard";
import { tell } from "../ui/Toasts";
import { FlowCard } from "./FlowCard";
import { useSeen } from "./useSeen";

/** Cards that are drawn at once; more follow when their end becomes visible. */
const STEP = 48;

interface Props {
  flows: readonly ListedFlow[];
  /** The server has more flows. */
  hasMore: boolean;
  present: ReadonlyMap<string, number>;
  /** The number of unsent changes in this browser, by flow. */
  unsent: ReadonlyMap<string, number>;
  onChange: () => void;
  /** The user has scrolled to the last flow, and there are more. */
  onEnd: () => void;
}

/** The flows, as many as the user has scrolled to. */
export function Cards({ flows, hasMore, present, unsent, onChange, onEnd }: Props) {
  const [shown, setShown] = useState(STEP);
  return (
    <>
      <ul className="cards" aria-label="Flows">
        {flows.slice(0, shown).map((flow) => (
          <Guard key={flow.id} of={flow} stand={() => <BrokenCard flow={flow} onChange={onChange} />}>
            <FlowCard flow={flow} people={present.get(flow.id) ?? 0} unsent={unsent.get(flow.id) ?? 0} onChange={onChange} />
          </Guard>
        ))}
      </ul>
      {shown < flows.length ? (
        <More key={shown} rest={hasMore ? null : flows.length - shown} onMore={() => { setShown(shown + STEP); }} />
      ) : hasMore && <More key={`end at ${flows.length}`} rest={null} onMore={onEnd} />}
    </>
  );
}

/** A card that can't be shown. */
function BrokenCard({ flow, onChange }: { flow: ListedFlow; onChange: () => void }) {
  const { id } = flow;
  const remove = (): void => {
    api.remove(id).then(onChange, (error: unknown) => { tell(`Couldn't delete it: ${reasonOf(error)}`); });
  };
  return (
    <li className="card">
      <p className="picture none">This card can't be shown</p>
      <div className="words">
        <a className="open" href={flowPath(id)} onClick={follow}>{id}</a>
      </div>
      {may(flow, "manage") && (
        <button className="icon-button" aria-label={`Delete ${id}`} title="Delete" onClick={remove}>
          <Trash2 size={16} />
        </button>
      )}
    </li>
  );
}

/** @param rest how many there are, if known. */
function More({ rest, onMore }: { rest: number | null; onMore: () => void }) {
  const [element] = useSeen<HTMLButtonElement>(onMore);
  return (
    <button ref={element} className="button more" onClick={onMore}>
      Show more{rest !== null && ` of ${rest}`}
    </button>
  );
}

/** Placeholders for cards. */
export function Skeletons() {
  return (
    <ul className="cards" aria-label="Loading flows" aria-busy>
      {Array.from({ length: 8 }, (_, n) => (
        <li key={n} className="card skeleton">
          <div className="picture" />
          <div className="words"><i /><i /></div>
        </li>
      ))}
    </ul>
  );
}
