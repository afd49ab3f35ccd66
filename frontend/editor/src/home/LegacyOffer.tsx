import { useState } from "react";

import { forget, importLegacy, type LegacyFlow, legacyFlows } from "./importing";

const number = (flows: readonly LegacyFlow[]): string => (flows.length === 1 ? "a flow" : `${flows.length} flows`);

/** Offers to import flows that an earlier editor stored in this browser. */
export function LegacyOffer({ onImported }: { onImported: () => void }) {
  const [flows, setFlows] = useState(legacyFlows);
  const [wasTried, setTried] = useState(false);
  const [isBusy, setBusy] = useState(false);
  if (flows.length === 0) {
    return null;
  }
  const take = async (): Promise<void> => {
    setBusy(true);
    await importLegacy(flows);
    setFlows(legacyFlows());
    setTried(true);
    setBusy(false);
    onImported();
  };
  return (
    <aside className="offer" aria-label="Flows stored in this browser">
      <span>
        {wasTried
          ? `${flows.map(({ title }) => `“${title}”`).join(", ")} couldn't be imported, and ${flows.length === 1 ? "stays" : "stay"} in this browser.`
          : `An earlier editor stored ${number(flows)} in this browser.`}
      </span>
      <span className="row">
        <button
          className="button"
          onClick={() => {
            forget(flows.map(({ key }) => key));
            setFlows([]);
          }}
        >
          Don't ask again
        </button>
        <button className="button primary" disabled={isBusy} onClick={() => void take()}>
          {wasTried ? "Try again" : "Import"}
        </button>
      </span>
    </aside>
  );
}
