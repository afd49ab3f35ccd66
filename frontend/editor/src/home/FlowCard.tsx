import type { FlowDocument } from "helix-flows";
import { CloudUpload, Copy, Download, Ellipsis, Pencil, Trash2 } from "lucide-react";
import { type KeyboardEvent, memo, useEffect, useRef, useState } from "react";
import { flushSync } from "react-dom";

import { creating, useMayCreate } from "../access/creating";
import { flowPath, follow } from "../address";
import { api, type ListedFlow, LONGEST_TITLE, may, reasonOf, RestError } from "../api";
import { download } from "../files";
import { isInputMethods } from "../flow/commands/keys";
import { Guard } from "../Guard";
import { safeName } from "../opened";
import { ago } from "../time";
import { Menu } from "../ui/Menu";
import { tell } from "../ui/Toasts";
import { numbered } from "../words";
import { Miniature } from "./Miniature";
import { useSeen } from "./useSeen";

/** Larger flows aren't loaded only to be drawn small: more nodes, or more bytes. */
const MOST_DRAWN = 2_000;
const MOST_BYTES = 4_000_000;

interface Props {
  flow: ListedFlow;
  /** How many people are in it now. */
  people: number;
  /** The number of its unsent changes in this browser. */
  unsent: number;
  onChange: () => void;
}

/** A flow's card. */
export const FlowCard = memo(function FlowCard({ flow, people, unsent, onChange }: Props) {
  const [element, isSeen] = useSeen<HTMLLIElement>();
  const [document, setDocument] = useState<FlowDocument>();
  const [isNaming, setNaming] = useState(false);
  const [isLarge, setLarge] = useState(false);
  const isDrawn = isSeen && flow.node_count <= MOST_DRAWN && !isLarge;
  useEffect(() => {
    if (isDrawn) {
      api.smallDocument(flow.id, MOST_BYTES).then(
        (found) => {
          setDocument(found ?? undefined);
          setLarge(found === null);
        },
        () => undefined,
      );
    }
  }, [isDrawn, flow.id, flow.version]);

  const title = flow.title || "Untitled flow";
  const mayCreate = useMayCreate();
  const [mayRename, mayRemove] = [may(flow, "edit"), may(flow, "manage")];
  // A server that asks nobody gives no roles.
  const marks = [...(flow.role == null || flow.role === "owner" ? [] : ["Shared with you"]), ...(mayRename ? [] : ["Read only"])];
  const keys = [...(mayRename ? ["F2"] : []), ...(mayRemove ? ["Delete"] : [])];
  const carryOut = (what: string, change: Promise<unknown>, after?: () => void): void => {
    change.then(
      () => {
        after?.();
        onChange();
      },
      (error: unknown) => { tell(`Couldn't ${what} “${title}”: ${reasonOf(error)}`); },
    );
  };
  const save = (): void => { carryOut("save", api.export(flow.id).then((file) => { download(`${safeName(flow.title)}.json`, file); })); };
  const duplicate = (): void => {
    creating(api.duplicate(flow.id)).then(onChange, (error: unknown) => {
      const isForbidden = error instanceof RestError && error.status === 403;
      tell(`Couldn't duplicate “${title}”: ${reasonOf(error)}`, isForbidden ? { label: "Save as a file", run: save } : undefined);
    });
  };
  const focus = (card: Element | null | undefined): void => {
    card?.querySelector<HTMLElement>(".open")?.focus();
  };
  const remove = (): void => {
    // The focus moves to the card that takes this one's place.
    focus(element.current?.nextElementSibling ?? element.current?.previousElementSibling);
    carryOut("delete", api.remove(flow.id), () => {
      tell(`Deleted “${title}”.`, {
        label: "Undo",
        run: () => { carryOut("restore", api.undelete(flow.id)); },
      });
    });
  };
  const press = (event: KeyboardEvent): void => {
    const run = { F2: () => { setNaming(true); }, Delete: remove }[event.key];
    if (run !== undefined && keys.includes(event.key)) {
      event.preventDefault();
      run();
    }
  };

  return (
    <li className="card" ref={element}>
      <Guard of={document} stand={() => <p className="picture none">This flow can't be drawn</p>}>
        <Miniature document={document} />
      </Guard>
      <div className="words">
        {isNaming ? (
          <Naming
            title={flow.title}
            onEnd={(named, isByKey) => {
              flushSync(() => { setNaming(false); });
              if (isByKey) {
                focus(element.current);
              }
              if (named !== null && named !== flow.title) {
                carryOut("rename", api.patch(flow.id, { title: named }));
              }
            }}
          />
        ) : (
          <a className="open" href={flowPath(flow.id)} title={title} aria-keyshortcuts={keys.join(" ") || undefined} onClick={follow} onKeyDown={press}>
            {title}
          </a>
        )}
        <div className="muted">
          {numbered(flow.node_count, "node")} · {numbered(flow.edge_count, "edge")}
        </div>
        {people > 0 ? (
          <div className="here">{people === 1 ? "1 person here now" : `${people} people here now`}</div>
        ) : (
          <div className="muted">Changed {ago(flow.updated_at)}</div>
        )}
        {marks.length > 0 && <div className="muted">{marks.join(" · ")}</div>}
        {unsent > 0 && <div className="unsent"><CloudUpload size={14} aria-hidden /> {numbered(unsent, "unsent change")}</div>}
      </div>
      <Menu
        label={`Actions for ${title}`}
        items={[
          ...(mayRename ? [{ label: "Rename", icon: Pencil, run: () => { setNaming(true); } }] : []),
          ...(mayCreate ? [{ label: "Duplicate", icon: Copy, run: duplicate }] : []),
          { label: "Save as a file", icon: Download, run: save },
          ...(mayRemove ? [{ label: "Delete", icon: Trash2, run: remove }] : []),
        ]}
      >
        <Ellipsis size={16} />
      </Menu>
    </li>
  );
});

interface NamingProps {
  title: string;
  /** @param isByKey whether a key ended it, so that the card gets the focus. */
  onEnd: (title: string | null, isByKey: boolean) => void;
}

function Naming({ title: known, onEnd }: NamingProps) {
  // A user who types nothing must not revert a title that others set meanwhile.
  const [title] = useState(known);
  const isByKey = useRef(false);
  return (
    <input
      aria-label="Title"
      maxLength={LONGEST_TITLE}
      autoFocus
      defaultValue={title}
      onFocus={({ target }) => { target.select(); }}
      onBlur={({ target }) => { onEnd(target.value === title ? null : target.value.trim() || null, isByKey.current); }}
      onKeyDown={(event) => {
        const { key, currentTarget: field } = event;
        if (isInputMethods(event)) {
          return;
        }
        if (key === "Escape") {
          field.value = title;
        }
        if (key === "Escape" || key === "Enter") {
          isByKey.current = true;
          field.blur();
        }
      }}
    />
  );
}
