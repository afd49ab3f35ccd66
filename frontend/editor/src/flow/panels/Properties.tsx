import type { FlowEdge, FlowNode, Member, SyncedFlow } from "helix-flows";
import type { UseFlowResult } from "helix-flows/react";
import { Spline, X } from "lucide-react";

import { Guard } from "../../Guard";
import { kindOfNode, labelOf } from "../../kinds";
import { elementOf } from "../canvas/LabelEditor";
import type { Command } from "../commands/command";
import { keyWords } from "../commands/keys";
import { BrokenProperties } from "../status/Broken";
import { EdgeFields } from "./EdgeFields";
import { NodeFields } from "./NodeFields";
import { Section } from "./Section";
import { useGone } from "./useGone";

interface Props {
  sync: SyncedFlow;
  /** Reconnect an edge. */
  onReconnect: UseFlowResult["onReconnect"];
  nodes: readonly FlowNode[];
  edges: readonly FlowEdge[];
  /** The labels of all nodes that an edge could connect, by id. */
  names: ReadonlyMap<string, string>;
  members: readonly Member[];
  commands: readonly Command[];
  isReadOnly: boolean;
  onClose: () => void;
}

/** The commands with a button in the panel. */
const ONE = ["lock-nodes", "duplicate", "delete"];
const MANY = [
  "align-left", "align-center", "align-right", "align-top", "align-middle", "align-bottom", "spread-x", "spread-y", "connect",
];

/** The panel that edits the selection, one element or many. Escape goes back to the canvas. */
export function Properties(props: Props) {
  const { nodes, edges, commands, onClose } = props;
  const chosen = [...nodes, ...edges];
  return (
    <Guard
      of={props.sync.state.document}
      stand={() => (
        <BrokenProperties chosen={chosen.length === 1 ? chosen[0] : chosen} onClose={onClose}>
          <CommandButtons commands={commands} ids={ONE} />
        </BrokenProperties>
      )}
    >
      <Fields {...props} />
    </Guard>
  );
}

function Fields({ sync, onReconnect, nodes, edges, names, members, commands, isReadOnly, onClose }: Props) {
  const [node] = nodes;
  const count = nodes.length + edges.length;
  const isOne = count === 1;
  const title = isOne && node !== undefined ? labelOf(node) : isOne ? "Edge" : `${count} selected`;
  const areKinds = new Set(nodes.map((one) => kindOfNode(one))).size;
  const Icon = areKinds === 1 ? kindOfNode(node ?? {}).icon : Spline;
  const first = nodes[0]?.id ?? edges[0]?.id ?? "";
  useGone(sync, first, title);
  return (
    <aside
      className="properties panel"
      aria-label="Properties"
      onKeyDown={(event) => {
        if (event.key === "Escape") {
          event.stopPropagation();
          elementOf(first)?.focus({ preventScroll: true });
        }
      }}
    >
      <header>
        {(areKinds === 1 || node === undefined) && (
          <span className={`kind-icon ${node === undefined ? "other" : kindOfNode(node).type}`}>
            <Icon size={14} aria-hidden />
          </span>
        )}
        <h2>{title}</h2>
        <CommandButtons commands={commands} ids={ONE} />
        <button className="icon-button" aria-label="Close properties" title="Close" onClick={onClose}>
          <X size={16} />
        </button>
      </header>
      {/* A fieldset itself can't scroll. */}
      <div className="fields">
        <fieldset disabled={isReadOnly}>
          {nodes.length > 1 && (
            <Section title="Align and connect">
              <div className="tools">
                <CommandButtons commands={commands} ids={MANY} />
              </div>
            </Section>
          )}
          {nodes.length > 0 ? (
            <NodeFields sync={sync} nodes={nodes} members={members} />
          ) : (
            <EdgeFields sync={sync} onReconnect={onReconnect} edges={edges} names={names} />
          )}
        </fieldset>
      </div>
    </aside>
  );
}

function CommandButtons({ commands, ids }: { commands: readonly Command[]; ids: readonly string[] }) {
  return ids.flatMap((id) => {
    const command = commands.find((one) => one.id === id);
    if (command === undefined) {
      return [];
    }
    const { label, icon: Icon, keys, isEnabled, run } = command;
    return [
      <button
        key={id}
        type="button"
        className="icon-button"
        aria-label={label}
        title={`${label} (${keyWords(keys[0] ?? "").join(" ")})`}
        disabled={!isEnabled}
        onClick={() => { run(); }}
      >
        <Icon size={16} />
      </button>,
    ];
  });
}
