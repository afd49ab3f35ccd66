import "../styles/home.css";

import { CloudOff, LayoutTemplate, Plus, Search, Upload } from "lucide-react";
import { useDeferredValue, useEffect, useMemo, useState } from "react";

import { creating, useMayCreate } from "../access/creating";
import { IdentityProvider } from "../access/identity";
import { personIn, useSession } from "../access/session";
import { SignIn } from "../access/SignIn";
import { flowPath, go } from "../address";
import { api, type ListedFlow, MOST_FLOWS, PAGE, reasonOf } from "../api";
import { store, stored } from "../storage";
import { tell, useToastKeys } from "../ui/Toasts";
import { useUnsent } from "../useUnsent";
import { Cards, Skeletons } from "./Cards";
import { Filters } from "./Filters";
import { HomeBar, ImportButton } from "./HomeBar";
import { importFiles } from "./importing";
import { LegacyOffer } from "./LegacyOffer";
import { readQuery } from "./query";
import { Templates } from "./Templates";
import { useDrop } from "./useDrop";
import { UnsentOffer } from "./UnsentOffer";
import { useFlows } from "./useFlows";

type Order = "changed" | "oldest" | "title" | "size";

const ORDERS: Record<Order, (a: ListedFlow, b: ListedFlow) => number> = {
  changed: (a, b) => b.updated_at - a.updated_at,
  oldest: (a, b) => a.updated_at - b.updated_at,
  title: (a, b) => a.title.localeCompare(b.title, undefined, { numeric: true }),
  size: (a, b) => b.node_count - a.node_count,
};

const ORDER_KEY = "helix-order";

function isOrder(text: string | null): text is Order {
  return text !== null && Object.hasOwn(ORDERS, text);
}

/** Make a flow, and open it. */
async function create(what: Parameters<typeof api.create>[0]): Promise<void> {
  try {
    go(flowPath((await creating(api.create(what))).id));
  } catch (error) {
    tell(`Couldn't create a flow: ${reasonOf(error)}`);
  }
}

const createBlank = (): void => void create({ document: { title: "Untitled flow" } });

/** The home page: flows and templates; for who isn't known, how to sign in. */
export default function Home() {
  const session = useSession();
  const me = personIn(session);
  const identity = useMemo(() => ({ me, guest: null }), [me]);
  return session.kind === "out" ? <SignIn what="see your flows" /> : <IdentityProvider value={identity}><Flows /></IdentityProvider>;
}

function Flows() {
  const [search, setSearch] = useState("");
  const [order, setOrder] = useState<Order>(() => {
    const kept = stored(ORDER_KEY);
    return isOrder(kept) ? kept : "changed";
  });
  const [most, setMost] = useState(PAGE);
  // Another order than the server's needs all flows.
  const { list, present, error, reload } = useFlows(search.trim(), order === "changed" ? most : MOST_FLOWS);
  const flows = useMemo(() => list?.flows.toSorted(ORDERS[order]), [list, order]);
  const shown = useDeferredValue(flows);
  const { unsent, flows: allUnsent } = useUnsent();
  const counts = useMemo(() => new Map(allUnsent.map(({ flowId, count }) => [flowId, count])), [allUnsent]);
  const take = (files: readonly File[]): void => void importFiles(files).then(reload);
  const isDropping = useDrop(take);
  const mayCreate = useMayCreate();
  useToastKeys();
  useEffect(() => {
    document.title = "Helix";
  }, []);

  return (
    <div className={isDropping ? "home dropping" : "home"}>
      <HomeBar search={search} onSearch={setSearch} onImport={take} onCreate={createBlank} />
      <main>
        <LegacyOffer onImported={reload} />
        {unsent !== null && <UnsentOffer unsent={unsent} flows={allUnsent} />}
        <div className="heading">
          <h1>Your flows</h1>
          <Filters search={search} onSearch={setSearch} />
          <label className="field">
            <span className="hidden">Sort by</span>
            <select
              value={order}
              onChange={({ target }) => {
                if (isOrder(target.value)) {
                  setOrder(target.value);
                  store(ORDER_KEY, target.value);
                }
              }}
            >
              <option value="changed">Last changed</option>
              <option value="oldest">Least recently changed</option>
              <option value="title">Title</option>
              <option value="size">Size</option>
            </select>
          </label>
        </div>
        {error !== null && <Trouble error={error} isOld={list !== null} onRetry={reload} />}
        {shown === undefined ? error === null && <Skeletons /> : (
          <>
            {shown.length === 0 ? (
              <Empty search={search} onSearch={setSearch} onImport={take} />
            ) : (
              <Cards
                key={`${search} ${order}`}
                flows={shown}
                hasMore={list?.hasMore === true && shown.length < MOST_FLOWS}
                present={present}
                unsent={counts}
                onChange={reload}
                onEnd={() => { setMost(shown.length + PAGE); }}
              />
            )}
            {list?.hasMore === true && shown.length >= MOST_FLOWS && (
              <p className="muted">These are the {shown.length} most recently changed flows. Search finds the others.</p>
            )}
          </>
        )}
        {mayCreate && <Templates onChoose={(id) => void create({ template: id })} isReachable={error === null} />}
      </main>
    </div>
  );
}

function Trouble({ error, isOld, onRetry }: { error: string; isOld: boolean; onRetry: () => void }) {
  return (
    <div className={isOld ? "offer trouble" : "empty trouble"} role="alert">
      <CloudOff size={isOld ? 16 : 32} aria-hidden />
      <p>
        {error} {isOld ? "This list may be out of date." : "Trying again automatically."}
      </p>
      <button className="button" onClick={onRetry}>Try now</button>
    </div>
  );
}

interface EmptyProps {
  search: string;
  onSearch: (text: string) => void;
  onImport: (files: readonly File[]) => void;
}

function Empty({ search, onSearch, onImport }: EmptyProps) {
  const { words, filter } = readQuery(search);
  const mayCreate = useMayCreate();
  const isFiltered = Object.keys(filter).length > 0;
  return search.trim() === "" ? (
    <div className="empty">
      <LayoutTemplate size={32} aria-hidden />
      <p>{mayCreate ? "No flows yet. Create one, start from a template below, or drop files here." : "No flows yet. Those that others share with you are here."}</p>
      {mayCreate && <div className="row">
        <button className="button primary" onClick={createBlank}>
          <Plus size={16} aria-hidden /> Create your first flow
        </button>
        <ImportButton className="button" onImport={onImport}>
          <Upload size={16} aria-hidden /> Import files
        </ImportButton>
      </div>}
    </div>
  ) : (
    <div className="empty">
      <Search size={32} aria-hidden />
      {words === "" ? <p>No flows match.</p> : <p>No {isFiltered ? "matching flow" : "flow"} has “{words}” in its title or description.</p>}
      {isFiltered && <button className="button" onClick={() => { onSearch(words); }}>Search all flows</button>}
    </div>
  );
}
