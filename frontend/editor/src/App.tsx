import { lazy, Suspense } from "react";

import { flowIdOf, HOME, isEmbedded, useAddress } from "./address";
import { Boundary } from "./Boundary";
import { Toasts } from "./ui/Toasts";

const Home = lazy(() => import("./home/Home"));
const FlowPage = lazy(() => import("./flow/FlowPage"));

/** The editor: home, or one flow. */
export function App() {
  const path = useAddress();
  return (
    <Boundary key={path}>
      <Suspense fallback={<p className="hidden">Loading</p>}>
        <Page path={path} />
      </Suspense>
      <Toasts />
    </Boundary>
  );
}

function Page({ path }: { path: string }) {
  const flowId = flowIdOf(path);
  if (flowId !== null) {
    return <FlowPage key={flowId} flowId={flowId} />;
  }
  return path === "/" ? <Home /> : <Nowhere />;
}

function Nowhere() {
  return (
    <main className="message">
      <h1>Flow not found</h1>
      <p>This address isn't valid. Part of the link may be missing.</p>
      {!isEmbedded && (
        <a className="button primary" href={HOME}>
          All flows
        </a>
      )}
    </main>
  );
}
