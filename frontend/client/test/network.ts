/** Connections between pages and a server in one test: with delays, and cut whenever a test wants. */

import type { JsonObject } from "../src/types";

/** A message of Phoenix: join_ref, ref, topic, event, payload. */
export type Frame = [string | null, string | null, string, string, JsonObject];

/** The server's end of a connection. */
export interface Wire {
  readonly number: number;
  send(frame: Frame): void;
  /** Close it, with a code that the page is told. */
  close(code: number): void;
}

interface Service {
  received(wire: Wire, text: string): void;
  closed(wire: Wire): void;
}

/**
 * Carries what WebSockets say. Each way of a connection keeps its order; nothing else does: what an
 * old connection still carries may come behind what a new one says.
 */
export class Network {
  /** Milliseconds that the next message takes. */
  delay: () => number = () => 1;
  /** Bytes that a connection carries to its page in a millisecond. */
  speed = Infinity;
  /** Whether a new connection is answered. */
  isUp = true;
  connects = 0;
  /** With which address and subprotocols, the last time. */
  asked: { url: string; protocols: readonly string[] | undefined } = { url: "", protocols: undefined };
  #service: Service | null = null;
  readonly #pipes = new Set<Pipe>();
  readonly webSocket: new (url: string) => object;

  constructor() {
    const connect = (url: string, protocols?: readonly string[]): object => {
      this.connects += 1;
      this.asked = { url, protocols };
      return new Pipe(this, this.connects);
    };
    // What a constructor returns is what `new` gives, if it is an object.
    this.webSocket = function (url: string, protocols?: readonly string[]) {
      return connect(url, protocols);
    } as unknown as new (url: string) => object;
  }

  serve(service: Service): void {
    this.#service = service;
  }

  get service(): Service {
    if (this.#service === null) {
      throw new Error("nobody serves this network");
    }
    return this.#service;
  }

  opened(pipe: Pipe): void {
    this.#pipes.add(pipe);
  }

  gone(pipe: Pipe): void {
    this.#pipes.delete(pipe);
  }

  /** Let the pages' connections be closing, as the server has begun to, until they are gone. */
  drain(): void {
    this.#pipes.forEach((pipe) => {
      pipe.drain();
    });
  }

  /** Let the connections lead nowhere any more, without anybody being told. */
  jam(): void {
    this.#pipes.forEach((pipe) => {
      pipe.jam();
    });
  }

  /** Cut connections; what the server was sent before may arrive all the same. */
  cut(choose: (n: number) => boolean = () => true): void {
    [...this.#pipes].filter((_, n) => choose(n)).forEach((pipe) => {
      pipe.cut(1006);
    });
  }
}

/** One connection: the page's `WebSocket`, and the server's `Wire`. */
class Pipe {
  readyState = 0;
  bufferedAmount = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: ((event: unknown) => void) | null = null;
  readonly #network: Network;
  readonly #wire: Wire;
  #upAt = 0;
  #downAt = 0;
  #isServed = false;
  #isJammed = false;

  constructor(network: Network, number: number) {
    this.#network = network;
    this.#wire = {
      number,
      send: (frame) => {
        const data = JSON.stringify(frame);
        this.#down(data.length / network.speed, () => this.onmessage?.({ data }));
      },
      close: (code) => {
        this.cut(code);
      },
    };
    setTimeout(() => {
      if (this.readyState !== 0) {
        return;
      }
      if (!network.isUp) {
        this.readyState = 3;
        this.onerror?.({});
        this.onclose?.({ code: 1006, reason: "" });
        return;
      }
      this.readyState = 1;
      this.#isServed = true;
      network.opened(this);
      this.onopen?.();
    }, network.delay());
  }

  send(text: string): void {
    if (this.readyState !== 1) {
      return; // as browsers do
    }
    if (this.#isJammed) {
      this.bufferedAmount += text.length;
      return;
    }
    this.#up(() => {
      this.#network.service.received(this.#wire, text);
    });
  }

  /** The page closes. What it said before still arrives. */
  close(code = 1000): void {
    if (this.readyState >= 2) {
      return;
    }
    this.readyState = 2;
    if (this.#isJammed) {
      return; // its handshake is never answered
    }
    this.#up(() => {
      this.#end();
    });
    setTimeout(() => {
      this.readyState = 3;
      this.onclose?.({ code, reason: "" });
    }, 1);
  }

  jam(): void {
    this.#isJammed = true;
  }

  /** The server has said that it closes: nothing goes out any more, and the end comes later. */
  drain(): void {
    this.readyState = 2;
    setTimeout(() => {
      this.cut(1012);
    }, 20);
  }

  /** The connection is no more; the page is told at once, the server when it has read what came. */
  cut(code: number): void {
    if (this.readyState === 3) {
      return;
    }
    this.readyState = 3;
    this.#up(() => {
      this.#end();
    });
    this.onerror?.({});
    this.onclose?.({ code, reason: "" });
  }

  #end(): void {
    this.#network.gone(this);
    if (this.#isServed) {
      this.#isServed = false;
      this.#network.service.closed(this.#wire);
    }
  }

  #up(arrive: () => void): void {
    this.#upAt = Math.max(this.#upAt, Date.now() + this.#network.delay());
    setTimeout(arrive, this.#upAt - Date.now());
  }

  #down(duration: number, arrive: () => void): void {
    this.#downAt = Math.max(this.#downAt, Date.now() + this.#network.delay()) + duration;
    setTimeout(() => {
      if (this.readyState === 1 && !this.#isJammed) {
        arrive();
      }
    }, this.#downAt - Date.now());
  }
}
