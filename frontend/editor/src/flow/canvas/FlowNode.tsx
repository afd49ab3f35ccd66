import { Handle, type NodeProps, NodeResizer, Position } from "@xyflow/react";
import { own } from "helix-flows";
import { Lock } from "lucide-react";
import { memo } from "react";

import { NODE_SIZE } from "../../drawing";
import { Guard } from "../../Guard";
import { kindName, kindOf, labelOf, shortOf, tinted, tintOf } from "../../kinds";
import { BrokenNode } from "../status/Broken";

export const MIN_SIZE = { width: 160, height: NODE_SIZE.height };
/** A mark in the data for React Flow: this node is locked. */
export const LOCKED = "#locked";
/** Another mark: this node is a group. */
export const GROUPED = "#group";
export const MAX_SIZE = { width: 4_096, height: 4_096 };

const standIn = () => <BrokenNode />;

/** A node of any kind. */
export const FlowNode = memo(function FlowNode(props: NodeProps) {
  return <Guard key={props.type} of={props.data} stand={standIn}><Body {...props} /></Guard>;
});

function Body({ type, data, selected, draggable, isConnectable }: NodeProps) {
  const kind = kindOf(type);
  const Icon = kind.icon;
  const tint = tintOf({ type, data });
  const isGroup = data[GROUPED] === true;
  const second = [kindName({ type, data }, isGroup), shortOf(own(data, kind.telling)) || shortOf(data["description"])].filter(Boolean).join(" · ");
  return (
    <div {...tinted(["node", isGroup && "group", tint.isChosen && "tinted"].filter(Boolean).join(" "), tint)}>
      {selected && draggable && (
        <NodeResizer minWidth={MIN_SIZE.width} minHeight={MIN_SIZE.height} maxWidth={MAX_SIZE.width} maxHeight={MAX_SIZE.height} />
      )}
      <Handle type="target" position={Position.Left} isConnectable={isConnectable} />
      <span className="kind-icon">
        <Icon size={14} aria-hidden />
      </span>
      <span className="text">
        <b>{labelOf({ type, data })}</b>
        <small>{second}</small>
      </span>
      {data[LOCKED] === true && <Lock className="locked" size={12} aria-hidden />}
      <Handle type="source" position={Position.Right} isConnectable={isConnectable} />
    </div>
  );
}
