import { Handle, type NodeProps, NodeResizer, Position } from "@xyflow/react";
import { Lock } from "lucide-react";
import { memo } from "react";

import { kindOf, labelOf, textOf } from "../kinds";

/** A node of any kind. */
export const FlowNode = memo(function FlowNode({ type, data, selected, draggable }: NodeProps) {
  const kind = kindOf(type);
  const Icon = kind.icon;
  const color = textOf(data["color"]);
  const second = [kind.name, textOf(data[kind.telling]) || textOf(data["description"])].filter(Boolean).join(" · ");
  return (
    <div className={`node ${color || kind.type}${color === "" ? "" : " tinted"}`}>
      {selected && <NodeResizer minWidth={160} minHeight={62} maxWidth={640} />}
      <Handle type="target" position={Position.Left} />
      <span className="kind-icon">
        <Icon size={14} aria-hidden />
      </span>
      <span className="text">
        <b>{labelOf({ type, data })}</b>
        <small>{second}</small>
      </span>
      {!draggable && <Lock className="locked" size={12} aria-label="Locked" />}
      <Handle type="source" position={Position.Right} />
    </div>
  );
});
