import { useState } from "react";

import { forget, importLegacy, legacyFlows } from "./importing";

/** Offers to import what an earlier editor kept in this browser, if it did. */
export function LegacyOffer({ onImported }: { onImported: () => void }) {
  const [flows, setFlows] = useState(legacyFlows);
  if (flows.length === 0) {
    return null;
  }
  const number = flows.length === 1 ? "a flow" : `${flows.length} flows`;
  return (
    <aside className="offer" aria-label="Flows kept in this browser">
      <span>An earlier editor has kept {number} in this browser.</span>
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
        <button
          className="button primary"
          onClick={() =>
            void importLegacy(flows).then(() => {
              setFlows(legacyFlows());
              onImported();
            })
          }
        >
          Import
        </button>
      </span>
    </aside>
  );
}
