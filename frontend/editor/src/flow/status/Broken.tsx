/** Replacements for parts of the editor that fail. */

import { BaseEdge, type EdgeProps, Handle, Position } from "@xyflow/react";
import type { FlowDocument } from "helix-flows";
import { TriangleAlert, X } from "lucide-react";
import type { ReactNode } from "react";

import { saveDocument } from "../../opened";
import { AsJson } from "../../ui/AsJson";

/** A node. It can be selected, moved, connected and deleted like others. */
export function BrokenNode() {
  return (
    <div className="node other broken">
      <Handle type="target" position={Position.Left} />
      <span className="kind-icon"><TriangleAlert size={14} aria-hidden /></span>
      <span className="text">
        <b>Can't be shown</b>
        <small>Select it to see its data</small>
      </span>
      <Handle type="source" position={Position.Right} />
    </div>
  );
}

/** An edge. */
export function BrokenEdge({ sourceX, sourceY, targetX, targetY }: EdgeProps) {
  const ends = [sourceX, sourceY, targetX, targetY];
  return ends.every(Number.isFinite) ? <BaseEdge path={`M${sourceX} ${sourceY}L${targetX} ${targetY}`} className="broken" /> : null;
}

interface FieldsProps {
  /** The selected elements. */
  chosen: unknown;
  /** The commands for them. */
  children: ReactNode;
  onClose: () => void;
}

/** The properties of the selection. */
export function BrokenProperties({ chosen, children, onClose }: FieldsProps) {
  return (
    <aside className="properties panel" aria-label="Properties">
      <header>
        <span className="kind-icon other"><TriangleAlert size={14} aria-hidden /></span>
        <h2>Can't be shown</h2>
        {children}
        <button className="icon-button" aria-label="Close properties" title="Close" onClick={onClose}>
          <X size={16} />
        </button>
      </header>
      <div className="fields broken">
        <p className="muted">Something in it breaks these fields. You can delete it, or restore an earlier version from the history.</p>
        <AsJson value={chosen} />
      </div>
    </aside>
  );
}

/** The canvas. */
export function BrokenCanvas({ document, error, onRetry }: { document: FlowDocument | null; error: Error; onRetry: () => void }) {
  return (
    <section className="closed panel" role="alert">
      <h2>The canvas can't be shown</h2>
      <p className="muted">
        Something in this flow breaks the canvas. Nothing is lost: your changes are still sent, and you can restore an earlier
        version from the history. The canvas tries again when the flow changes.
      </p>
      <p><code>{error.message}</code></p>
      <AsJson value={document} />
      <div className="row">
        <button className="button primary" onClick={onRetry}>Try again</button>
        <button className="button" onClick={() => { saveDocument(document); }}>Save as a file</button>
      </div>
    </section>
  );
}
