import "@xyflow/react/dist/base.css";
import "../styles/flow.css";

import { ReactFlowProvider } from "@xyflow/react";

import { Editor } from "./Editor";

/** One flow. */
export default function FlowPage({ flowId }: { flowId: string }) {
  return (
    <ReactFlowProvider>
      <Editor flowId={flowId} />
    </ReactFlowProvider>
  );
}
