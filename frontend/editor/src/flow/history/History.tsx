import type { FlowDocument, FlowEntry } from "helix-flows";
import { Bookmark, ListFilter, X } from "lucide-react";
import { type CSSProperties, useEffect, useRef, useState } from "react";

import { api, reasonOf } from "../../api";
import { ago } from "../../time";
import { Menu } from "../../ui/Menu";
import { useFocusBack } from "../../ui/menus";
import { tell } from "../../ui/Toasts";
import { authorship } from "./authorship";
import { useNames } from "./useNames";
import { VersionName } from "./VersionName";

/** Milliseconds of rest before the slider loads a version. */
const REST = 120;

interface Props {
  flowId: string;
  /** The newest version. */
  version: number;
  /** Changes whenever the names of versions may have changed. */
  namesChanged: number;
  /** This person may restore and name nothing. */
  isReadOnly: boolean;
  /** They may restore the version that is shown. */
  mayRestore: boolean;
  onShow: (document: FlowDocument | null) => void;
  onClose: () => void;
}

/** The timeline of all versions: drag along it to see them, and restore one. */
export function History({ flowId, version, namesChanged, isReadOnly, mayRestore, onShow, onClose }: Props) {
  const [chosen, setChosen] = useState<number | null>(null);
  const [entry, setEntry] = useState<FlowEntry | null>(null);
  const [naming, setNaming] = useState<number | null>(null);
  const slider = useRef<HTMLInputElement>(null);
  const names = useNames(flowId, namesChanged);
  const at = chosen ?? version;
  const named = names.find((one) => one.version === at);

  useFocusBack();
  useEffect(() => { slider.current?.focus({ preventScroll: true }); }, []);
  useEffect(() => {
    let isCurrent = true;
    const load = async (): Promise<void> => {
      const [{ entries }, past] = await Promise.all([
        api.entries(flowId, Math.max(0, at - 1), 1),
        chosen === null ? null : api.flow(flowId, chosen),
      ]);
      if (isCurrent) {
        setEntry(entries[0] ?? null);
        onShow(past?.document ?? null);
      }
    };
    const timer = setTimeout(() => {
      load().catch((error: unknown) => { tell(`That version can't be shown: ${reasonOf(error)}`); });
    }, REST);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [flowId, chosen, at, onShow]);

  const choose = (next: number): void => { setChosen(next >= version ? null : next); };
  const restore = (): void => {
    api.restore(flowId, at).then(
      () => {
        tell(`Restored version ${at}.`);
        onClose();
      },
      (error: unknown) => { tell(`Couldn't restore it: ${reasonOf(error)}`); },
    );
  };
  const who = at === 0 ? "The beginning" : entry === null ? "" : `${authorship(entry)}, ${ago(entry.at)}`;
  return (
    <section
      className="timeline panel"
      aria-label="History"
      onKeyDown={(event) => {
        if (event.key === "Escape") {
          event.stopPropagation();
          onClose();
        }
      }}
    >
      <span className="who">
        <b>{named?.name ?? `${chosen === null ? "Now" : "Earlier"} · version ${at}`}</b>
        {named === undefined ? who : `Version ${at} · ${who}`}
      </span>
      <span className="track">
        <input
          ref={slider}
          type="range"
          min={0}
          max={version}
          value={at}
          aria-label="Version"
          aria-valuetext={`Version ${at}${named === undefined ? "" : `, ${named.name}`}. ${who}`}
          onChange={(event) => { choose(Number(event.target.value)); }}
        />
        {names.map((one) => (
          <i key={one.version} className="mark" style={{ "--at": one.version / Math.max(1, version) } as CSSProperties} />
        ))}
      </span>
      {names.length > 0 && (
        <Menu
          label="Named versions"
          items={names.map((one) => ({
            id: String(one.version),
            label: one.name,
            icon: Bookmark,
            run: () => { choose(one.version); },
          }))}
        >
          <ListFilter size={16} />
        </Menu>
      )}
      {!isReadOnly && (
        <button
          className="icon-button"
          aria-label="Name this version"
          aria-pressed={named !== undefined}
          title="Name this version"
          onClick={() => { setNaming(at); }}
        >
          <Bookmark size={16} />
        </button>
      )}
      {chosen !== null && !isReadOnly && mayRestore && (
        <button className="button primary" onClick={restore}>Restore</button>
      )}
      <button className="icon-button leave" aria-label="Close history" title="Back to now" onClick={onClose}>
        <X size={16} />
      </button>
      {naming !== null && !isReadOnly && (
        <VersionName
          flowId={flowId}
          version={naming}
          named={names.find((one) => one.version === naming)}
          onClose={() => { setNaming(null); }}
        />
      )}
    </section>
  );
}
