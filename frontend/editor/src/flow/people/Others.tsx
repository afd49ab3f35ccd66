import { type InternalNode, useInternalNode, useStore, ViewportPortal } from "@xyflow/react";
import { type Cursor, type FlowEdge, type Member, own, type SyncedFlow } from "helix-flows";
import { useFlowState } from "helix-flows/react";
import { useEffect, useRef } from "react";

import { colorsOf } from "../../badge";
import { type Box, NODE_SIZE } from "../../drawing";
import { fieldLabel } from "../../kinds";
import { lanesIn } from "../../stacking";
import { lineOf } from "../canvas/lines";
import { selectingIn } from "./people";

/** Milliseconds after which a resting pointer fades. */
const IDLE = 5_000;

/** The distance of a ring from its node, and from the ring inside it. */
const GAP = 5;
const RING_STEP = 4;

/** Others on the canvas: their pointers and selections, and the fields that they edit. */
export function Others({ sync }: { sync: SyncedFlow }) {
  const members = useFlowState(sync, (state) => state.members);
  const cursors = useFlowState(sync, (state) => state.cursors);
  const nodes = useFlowState(sync, (state) => state.document?.nodes);
  const edges = useFlowState(sync, (state) => state.document?.edges);
  // Names are readable at any zoom.
  const size = useStore(({ transform }) => 1 / transform[2]);
  const others = members.filter(({ isSelf }) => !isSelf);
  const selecting = selectingIn(others, (id) => (own(nodes, id) ?? own(edges, id)) !== undefined);
  return (
    <ViewportPortal>
      <div className="others" style={{ "--size": size } as React.CSSProperties}>
        {[...selecting].map(([id, people]) => {
          const edge = own(edges, id);
          return edge === undefined ? <Rings key={id} id={id} people={people} /> : <EdgeRing key={id} edge={edge} lane={lanesIn(edges ?? {}).get(id) ?? 0} people={people} />;
        })}
        {others.map((member) => {
          const cursor = cursors.get(member.clientId);
          return cursor === undefined ? null : <Pointer key={member.clientId} member={member} cursor={cursor} />;
        })}
      </div>
    </ViewportPortal>
  );
}

/** Somebody's pointer. It fades while it rests. */
function Pointer({ member, cursor }: { member: Member; cursor: Cursor }) {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const { current } = element;
    current?.removeAttribute("data-idle");
    const rests = setTimeout(() => current?.setAttribute("data-idle", ""), IDLE);
    return () => {
      clearTimeout(rests);
    };
  }, [cursor]);
  return (
    <div
      ref={element}
      className="cursor"
      data-name={member.name}
      style={{ ...colorsOf(member), transform: `translate(${cursor.x}px, ${cursor.y}px)` }}
    >
      <div className="sized">
        <svg width="18" height="18" viewBox="0 0 18 18" aria-hidden>
          <path d="M2 2l5 14 2.500-6L15.500 7.500z" fill="var(--by)" stroke="var(--panel)" strokeWidth="1.200" strokeLinejoin="round" />
        </svg>
        <span className="tag">{member.name}</span>
      </div>
    </div>
  );
}

/** Write who has a node selected, and which field they edit. */
function doing(member: Member, id: string): string {
  const { editing } = member.meta;
  const isHere = editing?.["node"] === id && typeof editing["field"] === "string";
  return isHere ? `${member.name} · ${fieldLabel(String(editing["field"]))}` : member.name;
}

function Tags({ id, people }: { id: string; people: readonly Member[] }) {
  return (
    <div className="tags sized">
      {people.map((member) => (
        <span key={member.clientId} className="tag" style={colorsOf(member)}>{doing(member, id)}</span>
      ))}
    </div>
  );
}

/** Give a node's current box in React Flow. */
function boxOf(node: InternalNode | undefined): Box | null {
  if (node === undefined) {
    return null;
  }
  const { width = NODE_SIZE.width, height = NODE_SIZE.height } = node.measured;
  return { ...node.internals.positionAbsolute, width, height };
}

/** Rings around a node, one for each person who has it selected. */
function Rings({ id, people }: { id: string; people: readonly Member[] }) {
  const box = boxOf(useInternalNode(id));
  return box === null ? null : (
    <div className="others-rings" style={{ transform: `translate(${box.x}px, ${box.y}px)`, width: box.width, height: box.height }}>
      {people.map((member, n) => (
        <div key={member.clientId} className="others-ring" style={{ ...colorsOf(member), inset: -GAP - n * RING_STEP }} />
      ))}
      <Tags id={id} people={people} />
    </div>
  );
}

/** An edge that others have selected, in their colour. */
function EdgeRing({ edge, lane, people }: { edge: FlowEdge; lane: number; people: readonly Member[] }) {
  const [from, to] = [boxOf(useInternalNode(edge.source)), boxOf(useInternalNode(edge.target))];
  const [first] = people;
  if (from === null || to === null || first === undefined) {
    return null;
  }
  const { path, x, y } = lineOf(edge["type"], from, to, lane);
  return (
    <>
      <svg className="others-edge" style={colorsOf(first)} aria-hidden><path d={path} /></svg>
      <div className="others-rings" style={{ transform: `translate(${x}px, ${y}px)` }}>
        <Tags id={edge.id} people={people} />
      </div>
    </>
  );
}
