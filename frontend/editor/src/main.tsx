import "./styles/tokens.css";
import "./styles/base.css";

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { takeLinks } from "./access/guest";
import { lookWho } from "./access/session";
import { App } from "./App";
import { startTheme } from "./theme";

takeLinks();
startTheme();
void lookWho();
const root = document.getElementById("root");
if (root === null) {
  throw new Error("index.html has no element with the id root");
}
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
