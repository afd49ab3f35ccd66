import "@xyflow/react/dist/base.css";
import "../styles/flow.css";

import { ReactFlowProvider } from "@xyflow/react";

import { FlowGate } from "../access/FlowGate";
import { Editor } from "./Editor";

/** One flow. */
export default function FlowPage({ flowId }: { flowId: string }) {
  return (
    <FlowGate flowId={flowId}>
      <ReactFlowProvider>
        <Editor flowId={flowId} />
      </ReactFlowProvider>
    </FlowGate>
  );
}
