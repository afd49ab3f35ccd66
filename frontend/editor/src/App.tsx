import { lazy, Suspense } from "react";

import { flowIdOf, useAddress } from "./address";
import { Boundary } from "./Boundary";
import { Toasts } from "./ui/Toasts";

const Home = lazy(() => import("./home/Home"));
const FlowPage = lazy(() => import("./flow/FlowPage"));

/** The editor: home, or one flow. */
export function App() {
  const path = useAddress();
  const flowId = flowIdOf(path);
  return (
    <Boundary key={path}>
      <Suspense fallback={<p className="hidden">Loading</p>}>
        {flowId === null ? <Home /> : <FlowPage key={flowId} flowId={flowId} />}
      </Suspense>
      <Toasts />
    </Boundary>
  );
}
