import type { FlowDocument } from "helix-flows";
import { Copy, Download, Ellipsis, Pencil, Trash2 } from "lucide-react";
import { useEffect, useState } from "react";

import { flowPath, follow } from "../address";
import { api, type ListedFlow, reasonOf } from "../api";
import { ago } from "../time";
import { Menu } from "../ui/Menu";
import { tell } from "../ui/Toasts";
import { Miniature } from "./Miniature";
import { useSeen } from "./useSeen";

interface Props {
  flow: ListedFlow;
  /** How many are in it at the moment. */
  people: number;
  onChange: () => void;
}

/** A flow among others. */
export function FlowCard({ flow, people, onChange }: Props) {
  const [element, isSeen] = useSeen<HTMLLIElement>();
  const [document, setDocument] = useState<FlowDocument>();
  const [isNaming, setNaming] = useState(false);
  useEffect(() => {
    if (isSeen) {
      api.flow(flow.id).then((found) => { setDocument(found.document); }, () => undefined);
    }
  }, [isSeen, flow.id, flow.version]);

  const carryOut = (what: string, change: Promise<unknown>, after?: () => void): void => {
    change.then(
      () => {
        after?.();
        onChange();
      },
      (error: unknown) => { tell(`Couldn't ${what}: ${reasonOf(error)}`); },
    );
  };
  const remove = (): void => {
    carryOut("delete it", api.remove(flow.id), () => {
      tell(`Deleted “${flow.title}”.`, {
        label: "Undo",
        run: () => { carryOut("bring it back", api.undelete(flow.id)); },
      });
    });
  };
  const save = (): void => {
    location.assign(`/api/flows/${encodeURIComponent(flow.id)}/export`);
  };

  return (
    <li className="card" ref={element}>
      <Miniature document={document} />
      <div className="words">
        {isNaming ? (
          <Naming
            title={flow.title}
            onEnd={(title) => {
              setNaming(false);
              if (title !== null && title !== flow.title) {
                carryOut("rename it", api.patch(flow.id, { title }));
              }
            }}
          />
        ) : (
          <a className="open" href={flowPath(flow.id)} onClick={follow}>
            {flow.title || "Untitled flow"}
          </a>
        )}
        <div className="muted">
          {flow.node_count} nodes · {flow.edge_count} edges
        </div>
        {people > 0 ? (
          <div className="here">{people === 1 ? "1 person here now" : `${people} people here now`}</div>
        ) : (
          <div className="muted">Changed {ago(flow.updated_at)}</div>
        )}
      </div>
      <Menu
        label={`Actions for ${flow.title || "Untitled flow"}`}
        items={[
          { label: "Rename", icon: Pencil, run: () => { setNaming(true); } },
          { label: "Duplicate", icon: Copy, run: () => { carryOut("duplicate it", api.duplicate(flow.id)); } },
          { label: "Save as a file", icon: Download, run: save },
          { label: "Delete", icon: Trash2, run: remove },
        ]}
      >
        <Ellipsis size={16} />
      </Menu>
    </li>
  );
}

function Naming({ title, onEnd }: { title: string; onEnd: (title: string | null) => void }) {
  return (
    <input
      aria-label="Title"
      autoFocus
      defaultValue={title}
      onFocus={(event) => { event.target.select(); }}
      onBlur={(event) => { onEnd(event.target.value.trim() || null); }}
      onKeyDown={(event) => {
        if (event.key === "Enter") {
          event.currentTarget.blur();
        } else if (event.key === "Escape") {
          event.currentTarget.value = title;
          event.currentTarget.blur();
        }
      }}
    />
  );
}
