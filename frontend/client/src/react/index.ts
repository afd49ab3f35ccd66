/** The Helix client for React Flow. */

export type * from "./types.js";
export { useFlow, useFlowState } from "./useFlow.js";
export { useText, type UseTextResult } from "./useText.js";
