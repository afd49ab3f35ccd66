import type { FlowDocument, FlowEntry } from "helix-flows";
import { X } from "lucide-react";
import { useEffect, useState } from "react";

import { api, reasonOf } from "../api";
import { ago } from "../time";
import { tell } from "../ui/Toasts";

/** Milliseconds that the slider rests before a version is loaded. */
const REST = 120;

interface Props {
  flowId: string;
  /** The newest. */
  version: number;
  onShow: (document: FlowDocument | null) => void;
  onClose: () => void;
}

/** A line of all versions: drag along it to look, and go back to one. */
export function History({ flowId, version, onShow, onClose }: Props) {
  const [chosen, setChosen] = useState<number | null>(null);
  const [entry, setEntry] = useState<FlowEntry | null>(null);
  const at = chosen ?? version;

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
  const who = at === 0 ? "The beginning" : entry === null ? "" : `${entry.by || "Somebody"}, ${ago(entry.at)}`;
  return (
    <section className="timeline panel" aria-label="History">
      <span className="who">
        <b>{chosen === null ? "Now" : "Then"} · version {at}</b>
        <br />
        {who}
      </span>
      <input
        type="range"
        min={0}
        max={version}
        value={at}
        aria-label="Version"
        aria-valuetext={`Version ${at}. ${who}`}
        onChange={(event) => { choose(Number(event.target.value)); }}
      />
      {chosen !== null && (
        <button className="button primary" onClick={restore}>Restore</button>
      )}
      <button className="icon-button" aria-label="Close history" title="Back to now" onClick={onClose}>
        <X size={16} />
      </button>
    </section>
  );
}
