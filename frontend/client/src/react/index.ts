/** The client of Helix for React Flow. */

export type * from "./types";
export { useFlow, useFlowState } from "./useFlow";
export { useText, type UseTextResult } from "./useText";
