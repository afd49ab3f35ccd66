/** Unsent changes of closed pages, of any flow: lists them, and sends them from a page without that flow. */

import { BUSY, UNREACHABLE } from "../model/errors.js";
import { Replica } from "../model/replica.js";
import type {
  FlowDocument,
  FlowError,
  Kept,
  KeptOperation,
  UnsentEvent,
  UnsentFlow,
  UnsentOptions,
} from "../types.js";
import { byTime } from "./adoptedoutboxes.js";
import { BrowserKeeper } from "./keeper.js";
import { ResilientKeeper } from "./resilientkeeper.js";
import { FlowSync } from "./sync.js";

/** Milliseconds until the second look: a page that was just left releases its operations a moment later. */
const LOOK_SOON = 250;

/** The most milliseconds between looks; until then each interval is twice the one before. */
const LOOK_AGAIN = 5_000;

/** Milliseconds in which the server must accept something of a flow; otherwise the next flow's turn comes. */
const PATIENCE = 30_000;

/** Milliseconds for which a flow is skipped after a final refusal, for example because it is deleted. */
const REST = 600_000;

/**
 * Sends the unsent changes of flows that no page of this browser has open, one flow after the other.
 *
 * Refused changes are reported to listeners. If the server refuses the flow itself, its unsent changes stay,
 * and are listed with the reason, until `discard` is called.
 */
export class Unsent {
  readonly #options: UnsentOptions;
  readonly #keeper: NonNullable<UnsentOptions["keeper"]>;
  /** The keeper with timeouts. */
  readonly #storage: ResilientKeeper;
  readonly #listeners = new Set<() => void>();
  readonly #eventListeners = new Set<(event: UnsentEvent) => void>();
  readonly #errors = new Map<string, { error: FlowError; until: number }>();
  #flows: readonly UnsentFlow[] = [];
  #pause = LOOK_SOON;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Counts the stops: what began before one is given up. */
  #life = 0;
  #end: (() => void) | null = null;
  #isLooking = false;

  constructor(options: UnsentOptions = {}) {
    this.#options = options;
    this.#keeper = options.keeper ?? new BrowserKeeper();
    this.#storage = new ResilientKeeper(this.#keeper, () => undefined);
  }

  /** The flows with unsent changes, including open ones. Each change makes a new list. */
  get flows(): readonly UnsentFlow[] {
    return this.#flows;
  }

  /** Look now and regularly, and send what nobody else sends. */
  start(): void {
    this.#pause = LOOK_SOON;
    void this.#look(this.#life);
    if (typeof window !== "undefined") {
      window.addEventListener("online", this.lookNow);
    }
  }

  /** Send nothing more. The current sending is given up, and its changes stay stored. */
  stop(): void {
    this.#life += 1;
    this.#isLooking = false;
    clearTimeout(this.#timer);
    if (typeof window !== "undefined") {
      window.removeEventListener("online", this.lookNow);
    }
    this.#end?.();
  }

  /** Call `listener` after each change of `flows`. Returns a function that ends this. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Call `listener` with refusals and dropped changes. Returns a function that ends this. */
  listen(listener: (event: UnsentEvent) => void): () => void {
    this.#eventListeners.add(listener);
    return () => this.#eventListeners.delete(listener);
  }

  /** Look again at once, also at skipped flows. */
  readonly lookNow = (): void => {
    this.#errors.clear();
    void this.#look(this.#life);
  };

  /** Give a flow as last known here, with unsent changes on top; `null` if it never was. */
  async document(flowId: string): Promise<FlowDocument | null> {
    return shown(await this.#storage.load(flowId));
  }

  /** Give a flow's unsent changes, in the order in which they were made. */
  async changes(flowId: string): Promise<readonly KeptOperation[]> {
    return (await this.#storage.load(flowId)).operations.toSorted(byTime);
  }

  /**
   * Discard the unsent changes of a flow that no page has open.
   *
   * @returns a function that puts them back.
   */
  async discard(flowId: string): Promise<() => void> {
    const gone: KeptOperation[] = [];
    await this.#holding(flowId, (operation) => {
      gone.push(operation);
      this.#keeper.remove(flowId, operation.clientId, operation.opId);
    });
    await this.#list();
    return () => {
      for (const operation of gone) {
        void this.#keeper.put(flowId, operation);
      }
      this.lookNow();
    };
  }

  async #look(life: number): Promise<void> {
    if (this.#isLooking || life !== this.#life) {
      return;
    }
    this.#isLooking = true;
    clearTimeout(this.#timer);
    try {
      await this.#list();
      for (const { flowId } of this.#flows) {
        const isDue = performance.now() >= (this.#errors.get(flowId)?.until ?? 0);
        if (life !== this.#life || (isDue && !(await this.#deliver(flowId, life)))) {
          break;
        }
      }
    } finally {
      // Whatever failed, look again later.
      if (life === this.#life) {
        this.#isLooking = false;
        this.#timer = setTimeout(() => void this.#look(life), this.#pause);
        this.#pause = Math.min(LOOK_AGAIN, 2 * this.#pause);
      }
    }
  }

  async #list(): Promise<void> {
    const counts = await this.#keeper.unsentFlows();
    const flows = [...counts].map(async ([flowId, count]): Promise<UnsentFlow> => {
      const { document } = await this.#storage.load(flowId);
      const error = this.#errors.get(flowId)?.error ?? null;
      return { flowId, count, error, title: document?.document.title ?? null };
    });
    this.#flows = await Promise.all(flows);
    for (const listener of [...this.#listeners]) {
      listener();
    }
  }

  /**
   * Send a flow's operations that nobody holds.
   *
   * @returns whether the server can be reached, as far as is known now.
   */
  async #deliver(flowId: string, life: number): Promise<boolean> {
    if (flowId === this.#options.except) {
      return true;
    }
    const count = await this.#holding(flowId, () => undefined);
    if (count === 0 || this.#isOver(life)) {
      return true;
    }
    const sync = new FlowSync(flowId, { ...this.#options, keeper: this.#keeper });
    const error = await this.#outcome(sync);
    const { kind } = sync.state.status;
    sync.stop();
    if (this.#isOver(life)) {
      return false;
    }
    if (error === null) {
      this.#errors.delete(flowId);
    } else {
      const until = performance.now() + (kind === "closed" || kind === "held" ? REST : 0);
      this.#errors.set(flowId, { error, until });
    }
    await this.#list();
    return kind === "saved" || kind === "saving" || kind === "held" || kind === "closed";
  }

  #isOver(life: number): boolean {
    return life !== this.#life;
  }

  /** Wait until everything is sent; otherwise give the reason why not. */
  #outcome(sync: FlowSync): Promise<FlowError | null> {
    return new Promise((resolve) => {
      let { unsent } = sync.state.status;
      const giveUp = (): void => {
        const { kind, error } = sync.state.status;
        end(kind === "saving" ? BUSY : (error ?? UNREACHABLE));
      };
      let timer = setTimeout(giveUp, PATIENCE);
      const end = (error: FlowError | null): void => {
        clearTimeout(timer);
        leave();
        this.#end = null;
        resolve(error);
      };
      const leave = sync.subscribe((): void => {
        const { status } = sync.state;
        if (status.kind === "saved" || status.kind === "closed" || status.kind === "held") {
          end(status.error);
        } else if (status.unsent < unsent) {
          clearTimeout(timer);
          timer = setTimeout(giveUp, PATIENCE);
        }
        ({ unsent } = status);
      });
      this.#end = giveUp;
      sync.listen((event) => {
        if (event.type === "refused" || event.type === "dropped") {
          this.#tell({ ...event, flowId: sync.flowId, title: sync.state.document?.title ?? null });
        }
      });
      sync.start();
    });
  }

  #tell(event: UnsentEvent): void {
    for (const listener of [...this.#eventListeners]) {
      listener(event);
    }
  }

  /** Do something with each operation that no page holds, under a lock; give how many. */
  async #holding(flowId: string, act: (operation: KeptOperation) => void): Promise<number> {
    let count = 0;
    const clientIds = ({ operations }: Kept): string[] => operations.map(({ clientId }) => clientId);
    for (const clientId of new Set(clientIds(await this.#storage.load(flowId)))) {
      const release = await this.#storage.hold(flowId, clientId);
      if (release !== null) {
        const { operations } = await this.#storage.load(flowId);
        const own = operations.filter((one) => one.clientId === clientId);
        own.forEach(act);
        count += own.length;
        release();
      }
    }
    return count;
  }
}

function shown({ document, operations }: Kept): FlowDocument | null {
  if (document === null) {
    return null;
  }
  const replica = new Replica();
  replica.adopt({ epoch: document.epoch, version: document.version, chain: null }, document.document);
  replica.submitBefore(
    operations.toSorted(byTime).map(({ clientId, opId, patch, at = 0 }) => ({ clientId, opId, patch, at })),
  );
  return replica.shown;
}
