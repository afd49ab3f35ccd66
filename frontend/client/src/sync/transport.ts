/** The transport of the `phoenix` package: one connection. */

/** A constructor that is used like `WebSocket`. */
export type WebSocketMaker = new (url: string, protocols?: string | string[]) => object;

/** Hears of a connection before the package does. */
export interface TransportOwner {
  /** The token of this connection; `null` for none. */
  token(): string | null;
  opened(): void;
  /** The server has sent something. */
  heard(): void;
  /** The server or the network closed it. This isn't called when the client closes it. */
  closed(code: number, reason: string): void;
}

type Handler<E> = ((event: E) => void) | null;

/** The part of `WebSocket` that is used. */
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
 * Unlike a `WebSocket`, it counts as closed as soon as it is told to close. Otherwise the package would wait
 * some seconds for the end of a connection, and use it meanwhile; without a network the end never comes.
 * What was sent before still goes out. The owner sends heartbeats, not the package.
 */
export function transportOver(webSocket: WebSocketMaker, owner: TransportOwner): WebSocketMaker {
  return class Transport {
    readonly skipHeartbeat = true;
    readonly bufferedAmount = 0;
    onopen: Handler<unknown> = null;
    onmessage: Handler<unknown> = null;
    onclose: Handler<unknown> = null;
    onerror: Handler<unknown> = null;
    readonly #socket: Plain;
    #isGivenUp = false;

    constructor(url: string) {
      this.#socket = new webSocket(url, protocolsFor(owner.token())) as Plain;
      // A failed connection also closes. Outside browsers, an unhandled error may end the program.
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

/** Give the subprotocols that carry a token, as the package writes them. Some connections may have none, which it can't say. */
function protocolsFor(token: string | null): string[] | undefined {
  return token === null ? undefined : ["phoenix", `base64url.bearer.phx.${btoa(token).replaceAll("=", "")}`];
}
