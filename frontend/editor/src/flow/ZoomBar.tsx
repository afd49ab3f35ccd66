import { useReactFlow, useStore } from "@xyflow/react";
import { Lock, LockOpen, Maximize, Minus, Plus } from "lucide-react";

import { FIT_SMOOTHLY } from "./fit";

const DURATION = 150;

/** How near the canvas is, and whether it is locked. */
export function ZoomBar({ isLocked, onLock }: { isLocked: boolean; onLock: (isLocked: boolean) => void }) {
  const zoom = useStore((state) => state.transform[2]);
  const { zoomIn, zoomOut, fitView } = useReactFlow();
  const buttons = [
    { label: "Zoom out", icon: Minus, run: () => void zoomOut({ duration: DURATION }) },
    { label: "Zoom in", icon: Plus, run: () => void zoomIn({ duration: DURATION }) },
    { label: "See everything", icon: Maximize, run: () => void fitView(FIT_SMOOTHLY) },
  ].map(({ label, icon: Icon, run }) => (
    <button key={label} className="icon-button" aria-label={label} title={label} onClick={run}>
      <Icon size={16} />
    </button>
  ));
  const label = isLocked ? "Unlock the canvas" : "Lock the canvas";
  return (
    <div className="zoom panel" role="group" aria-label="View">
      {buttons[0]}
      <output>{Math.round(zoom * 100)}%</output>
      {buttons.slice(1)}
      <button className="icon-button" aria-label={label} title={label} aria-pressed={isLocked} onClick={() => { onLock(!isLocked); }}>
        {isLocked ? <Lock size={16} /> : <LockOpen size={16} />}
      </button>
    </div>
  );
}
