/** One connection, as the `phoenix` package is given it. */

/** A constructor of what is used as a `WebSocket`. */
export type WebSocketMaker = new (url: string, protocols?: string | string[]) => object;

/** Who hears of a connection, before the package does. */
export interface LineOwner {
  opened(): void;
  /** The server has said something. */
  heard(): void;
  /** It is no more, by the server's doing or the network's. Nothing is told of what one closes oneself. */
  closed(code: number, reason: string): void;
}

type Handler<E> = ((event: E) => void) | null;

/** What of a `WebSocket` is used. */
interface Plain {
  readonly readyState: number;
  binaryType: string;
  onopen: Handler<unknown>;
  onmessage: Handler<unknown>;
  onclose: Handler<{ code: number; reason: string }>;
  onerror: Handler<unknown>;
  send(data: unknown): void;
  close(code?: number, reason?: string): void;
}

const OPEN = 1;
const CLOSED = 3;

/**
 * Make a transport for the package's `Socket`.
 *
 * Unlike a `WebSocket` it is closed as soon as one says so. The package waits for the end of a connection
 * that it gives up, up to some seconds, in which it takes it for one that is there; the network may be
 * gone, and never say that it has ended. What was sent before goes out all the same. The owner, not the
 * package, sees to heartbeats.
 */
export function lineOver(webSocket: WebSocketMaker, owner: LineOwner): WebSocketMaker {
  return class Line {
    readonly skipHeartbeat = true;
    readonly bufferedAmount = 0;
    onopen: Handler<unknown> = null;
    onmessage: Handler<unknown> = null;
    onclose: Handler<unknown> = null;
    onerror: Handler<unknown> = null;
    readonly #socket: Plain;
    #isGivenUp = false;

    constructor(url: string, protocols?: string | string[]) {
      this.#socket = new webSocket(url, protocols) as Plain;
      // A connection that fails closes, too. Some that aren't a browser's end the program where nobody listens.
      this.#socket.onerror = () => undefined;
      this.#socket.onopen = (event) => {
        if (!this.#isGivenUp) {
          owner.opened();
          this.onopen?.(event);
        }
      };
      this.#socket.onmessage = (event) => {
        if (!this.#isGivenUp) {
          owner.heard();
          this.onmessage?.(event);
        }
      };
      this.#socket.onclose = (event) => {
        if (!this.#isGivenUp) {
          owner.closed(event.code, event.reason);
          this.onclose?.(event);
        }
      };
    }

    get readyState(): number {
      return this.#isGivenUp ? CLOSED : this.#socket.readyState;
    }

    set binaryType(type: string) {
      this.#socket.binaryType = type;
    }

    send(data: unknown): void {
      if (this.readyState === OPEN) {
        this.#socket.send(data);
      }
    }

    close(code?: number, reason?: string): void {
      if (!this.#isGivenUp) {
        this.#isGivenUp = true;
        this.#socket.close(code, reason);
      }
    }
  };
}
