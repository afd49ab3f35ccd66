/** A flow, its server and its people, in one test. */

import { vi } from "vitest";

import { FlowSync } from "../src/sync/sync";
import type { FlowKeeper, FlowStatus, FlowSyncOptions, JsonObject } from "../src/types";
import { Network } from "./network";
import { FlowServer } from "./server";

export const NODE = { id: "n1", position: { x: 0, y: 0 }, data: {} };

/** Make a node. */
export function node(id: string, rest: JsonObject = {}): JsonObject {
  return { ...NODE, id, ...rest };
}

export class Desk {
  readonly network = new Network();
  readonly server = new FlowServer(this.network);
  readonly keeper: FlowKeeper | null;

  constructor(keeper: FlowKeeper | null = null) {
    this.keeper = keeper;
  }

  /** Somebody opens the flow in a page. */
  open(options: Partial<FlowSyncOptions> = {}): FlowSync {
    const sync = new FlowSync("demo", {
      url: "http://helix.test",
      keeper: this.keeper,
      webSocket: this.network.webSocket,
      random: () => 0.5 + Math.random() / 2,
      ...options,
    });
    sync.start();
    return sync;
  }

  /** Somebody opens the flow, and is in it. */
  async join(options: Partial<FlowSyncOptions> = {}): Promise<FlowSync> {
    const sync = this.open(options);
    await this.until(() => sync.state.status.kind === "saved");
    return sync;
  }

  /** Let time pass until something is so: a minute at most. */
  async until(holds: () => boolean): Promise<void> {
    for (let ms = 0; ms < 60_000; ms += 5) {
      if (holds()) {
        return;
      }
      await vi.advanceTimersByTimeAsync(5);
    }
    throw new Error("it didn't come to be within a minute");
  }

  async pass(ms: number): Promise<void> {
    await vi.advanceTimersByTimeAsync(ms);
  }

  /** What the server was asked to apply, in order. */
  get sent(): { op_id: number; patch: JsonObject }[] {
    return this.server.heardEvents("patch") as unknown as { op_id: number; patch: JsonObject }[];
  }
}

/** Read a status as tests compare it. */
export function standing({ kind, unsent, error }: FlowStatus): [string, number, string | null] {
  return [kind, unsent, error?.code ?? null];
}
