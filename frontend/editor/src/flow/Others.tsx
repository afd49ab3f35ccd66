import { useReactFlow, ViewportPortal } from "@xyflow/react";
import type { Member, SyncedFlow } from "helix-flows";
import { useFlowState } from "helix-flows/react";

import { NODE_SIZE } from "../drawing";
import { inkOn } from "../person";

const colors = (member: Member) => ({ "--by": member.color, "--on-by": inkOn(member.color) }) as React.CSSProperties;

/** The others on the canvas: their pointers, and what they have selected. */
export function Others({ sync }: { sync: SyncedFlow }) {
  const members = useFlowState(sync, (state) => state.members);
  const cursors = useFlowState(sync, (state) => state.cursors);
  // A ring goes where its node goes.
  useFlowState(sync, (state) => state.document);
  const { getInternalNode } = useReactFlow();
  const others = members.filter(({ isSelf }) => !isSelf);
  return (
    <ViewportPortal>
      {others.flatMap((member) =>
        (member.meta.selection ?? []).map((id) => {
          const node = getInternalNode(id);
          if (node === undefined) {
            return null;
          }
          const { x, y } = node.internals.positionAbsolute;
          const { width = NODE_SIZE.width, height = NODE_SIZE.height } = node.measured;
          return (
            <div
              key={`${member.clientId} ${id}`}
              className="others-ring"
              style={{ ...colors(member), transform: `translate(${x - 5}px, ${y - 5}px)`, width: width + 10, height: height + 10 }}
            >
              <span className="tag">{member.name}</span>
            </div>
          );
        }),
      )}
      {others.map((member) => {
        const cursor = cursors.get(member.clientId);
        return cursor === undefined ? null : (
          <div
            key={member.clientId}
            className="cursor"
            data-name={member.name}
            style={{ ...colors(member), transform: `translate(${cursor.x}px, ${cursor.y}px)` }}
          >
            <svg width="18" height="18" viewBox="0 0 18 18" aria-hidden>
              <path d="M2 2l5 14 2.500-6L15.500 7.500z" fill="var(--by)" stroke="var(--panel)" strokeWidth="1.200" strokeLinejoin="round" />
            </svg>
            <span className="tag">{member.name}</span>
          </div>
        );
      })}
    </ViewportPortal>
  );
}
