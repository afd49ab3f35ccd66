import "../styles/home.css";

import { LayoutTemplate, Plus, Search, Upload } from "lucide-react";
import { type DragEvent, useEffect, useRef, useState } from "react";

import { flowPath, go } from "../address";
import { api, type ListedFlow, reasonOf } from "../api";
import { Mark } from "../ui/Mark";
import { ThemeButton } from "../ui/ThemeButton";
import { tell } from "../ui/Toasts";
import { FlowCard } from "./FlowCard";
import { importTexts } from "./importing";
import { LegacyOffer } from "./LegacyOffer";
import { Templates } from "./Templates";

type Order = "changed" | "title" | "size";

const ORDERS: Record<Order, (a: ListedFlow, b: ListedFlow) => number> = {
  changed: (a, b) => b.updated_at - a.updated_at,
  title: (a, b) => a.title.localeCompare(b.title),
  size: (a, b) => b.node_count - a.node_count,
};

/** Milliseconds between looks at who is where. */
const REFRESH = 10_000;

/** Make a flow, and open it. */
async function create(what: Parameters<typeof api.create>[0]): Promise<void> {
  try {
    go(flowPath((await api.create(what)).id));
  } catch (error) {
    tell(`Couldn't create a flow: ${reasonOf(error)}`);
  }
}

function useFlows(search: string) {
  const [flows, setFlows] = useState<ListedFlow[] | null>(null);
  const [present, setPresent] = useState<ReadonlyMap<string, number>>(new Map());
  const [error, setError] = useState<string | null>(null);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let isCurrent = true;
    Promise.all([api.flows(search), api.present()]).then(
      ([found, here]) => {
        if (isCurrent) {
          setFlows(found);
          setPresent(here);
          setError(null);
        }
      },
      (reason: unknown) => {
        if (isCurrent) {
          setError(reasonOf(reason));
        }
      },
    );
    const again = setTimeout(() => {
      setTurn(turn + 1);
    }, REFRESH);
    return () => {
      isCurrent = false;
      clearTimeout(again);
    };
  }, [search, turn]);
  return {
    flows,
    present,
    error,
    reload: () => {
      setTurn((now) => now + 1);
    },
  };
}

/** The flows, and what to begin one from. */
export default function Home() {
  const [search, setSearch] = useState("");
  const [order, setOrder] = useState<Order>("changed");
  const [isDropping, setDropping] = useState(false);
  const { flows, present, error, reload } = useFlows(search);
  const files = useRef<HTMLInputElement>(null);
  useEffect(() => {
    document.title = "Helix";
  }, []);

  const take = (list: FileList | null): void => {
    void importTexts([...(list ?? [])].map((file) => ({ name: file.name, text: () => file.text() }))).then(reload);
  };
  const drop = (event: DragEvent): void => {
    event.preventDefault();
    setDropping(false);
    take(event.dataTransfer.files);
  };

  return (
    <div
      className={isDropping ? "home dropping" : "home"}
      onDragOver={(event) => {
        event.preventDefault();
        setDropping(true);
      }}
      onDragLeave={(event) => {
        if (event.relatedTarget === null) {
          setDropping(false);
        }
      }}
      onDrop={drop}
    >
      <header className="bar">
        <span className="brand">
          <Mark /> Helix
        </span>
        <label className="find">
          <span className="hidden">Search flows</span>
          <input
            className="search"
            type="search"
            placeholder="Search flows"
            value={search}
            onChange={(event) => {
              setSearch(event.target.value);
            }}
          />
        </label>
        <span className="end">
          <ThemeButton />
          <button className="icon-button" aria-label="Import files" title="Import files" onClick={() => files.current?.click()}>
            <Upload size={16} />
          </button>
          <input
            ref={files}
            hidden
            type="file"
            multiple
            accept="application/json,.json"
            aria-label="Files to import"
            onChange={(event) => {
              take(event.target.files);
            }}
          />
          <button className="button primary" onClick={() => void create({ document: { title: "Untitled flow" } })}>
            <Plus size={16} aria-hidden /> New flow
          </button>
        </span>
      </header>
      <main>
        <LegacyOffer onImported={reload} />
        <div className="heading">
          <h1>Your flows</h1>
          <label className="field">
            <span className="hidden">Sort by</span>
            <select value={order} onChange={(event) => { setOrder(event.target.value as Order); }}>
              <option value="changed">Last changed</option>
              <option value="title">Title</option>
              <option value="size">Size</option>
            </select>
          </label>
        </div>
        {error !== null && (
          <div className="offer" role="alert">
            {error}
            <button className="button" onClick={reload}>Try again</button>
          </div>
        )}
        {flows?.length === 0 ? (
          <Empty search={search} />
        ) : (
          <ul className="cards" aria-busy={flows === null}>
            {flows?.toSorted(ORDERS[order]).map((flow) => (
              <FlowCard key={flow.id} flow={flow} people={present.get(flow.id) ?? 0} onChange={reload} />
            ))}
          </ul>
        )}
        <Templates onChoose={(id) => void create({ template: id })} />
      </main>
    </div>
  );
}

function Empty({ search }: { search: string }) {
  return search === "" ? (
    <div className="empty">
      <LayoutTemplate size={32} aria-hidden />
      <p>No flows yet. Make a new one, begin with a template, or drop a file here.</p>
    </div>
  ) : (
    <div className="empty">
      <Search size={32} aria-hidden />
      <p>No flow has “{search}” in its title or description.</p>
    </div>
  );
}
