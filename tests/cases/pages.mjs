// Pages without a browser: the client library, bundled, in a node process, a command at a time.
//
//     node pages.mjs <the library in one file>
//
// A command is a line of JSON on stdin, `{"do": "<a key of commands>", ...}`. Each is answered with a
// line on stdout before the next is read: `{"gave": ...}`, or `{"failed": "<why>"}`.

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

// stdout is for answers alone, and the library logs to the console.
console.log = console.error;

const { FlowSync } = await import(pathToFileURL(process.argv[2]).href);

const AsyncFunction = (async () => {}).constructor;

/** What one browser keeps of its flows: several pages may share it, one after the other or at once. */
class Keeper {
  operations = new Map();
  documents = new Map();
  held = new Map();

  async load(flow) {
    const kept = [...this.operations.values()].filter((one) => one.flow === flow);
    const operations = kept.map(({ text }) => JSON.parse(text));
    return {
      document: this.documents.get(flow) ?? null,
      operations: operations.sort((a, b) => a.opId - b.opId),
    };
  }

  put(flow, operation) {
    const { clientId, opId } = operation;
    const text = JSON.stringify(operation);
    this.operations.set(JSON.stringify([flow, clientId, opId]), { flow, text });
  }

  remove(flow, clientId, opId) {
    this.operations.delete(JSON.stringify([flow, clientId, opId]));
  }

  putDocument(flow, document) {
    this.documents.set(flow, structuredClone(document));
  }

  async hold(flow, clientId) {
    const name = JSON.stringify([flow, clientId]);
    if (this.held.has(name)) {
      return null;
    }
    const holder = {};
    this.held.set(name, holder);
    return () => {
      if (this.held.get(name) === holder) {
        this.held.delete(name);
      }
    };
  }
}

/** Tells the state in which a page's newest connection is. */
class Socket extends WebSocket {
  static newest = new Map();

  constructor(url, protocols) {
    super(url, protocols);
    Socket.newest.set(new URL(url).port, this);
  }
}

const pages = {};
const keepers = {};
const typing = { made: {}, count: 0, timers: [] };
const writing = { made: {}, timers: [], lost: [] };

/** How many edits of a writing page concern one node. */
const STEPS = 4;

/** Gives all numbers that a document shows, by place: those of `data`, and where nodes are and what they are called. */
function numbersIn({ data, nodes }) {
  const found = new Map(Object.entries(data));
  for (const { id, position, data } of Object.values(nodes)) {
    found.set(`${id} is at`, position.x);
    found.set(`${id} is called`, Number(data.label));
  }
  return found;
}

/** Notes what a page takes back: numbers only grow, as long as it shows all that it has shown. */
function watch(name, page) {
  let last = null;
  let seen = new Map();
  const look = () => {
    const { document } = page.state;
    if (document === last || document === null) {
      return;
    }
    last = document;
    const shown = numbersIn(document);
    for (const [place, number] of seen) {
      if (!(shown.get(place) >= number)) {
        writing.lost.push(`${name}: ${place} ${number}, then ${shown.get(place)}`);
      }
    }
    seen = shown;
  };
  page.subscribe(look);
  look();
}

/** How many members of `data` are typed into: a document that grew would make each edit dearer than the last. */
const KEYS = 200;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(condition, seconds, what = String(condition)) {
  const end = performance.now() + 1000 * seconds;
  for (;;) {
    const found = await condition();
    if (found) {
      return found;
    }
    if (performance.now() > end) {
      const states = Object.entries(pages).map(([name, { state }]) => [name, state.status]);
      throw new Error(`not within ${seconds} s: ${what}; ${JSON.stringify(states)}`);
    }
    await sleep(5);
  }
}

const commands = {
  /** Opens a page; `keeper` names the browser that it is in, if that is to keep anything. */
  open({ page, url, flow, keeper, options }) {
    const kept = keeper === undefined ? null : (keepers[keeper] ??= new Keeper());
    pages[page] = new FlowSync(flow, { url, keeper: kept, webSocket: Socket, ...options });
    pages[page].told = [];
    pages[page].listen((event) => pages[page].told.push(event));
    pages[page].start();
  },

  /** Runs a piece of code, which may return something. */
  run({ page, code, given }) {
    return new AsyncFunction("page", "given", "until", "sleep", code)(pages[page], given, until, sleep);
  },

  /** Waits for what an expression says. */
  until({ page, condition, seconds }) {
    const holds = new AsyncFunction("page", `return ${condition}`);
    return until(() => holds(pages[page]), seconds, condition);
  },

  /** Has pages type, each at its own pace. Each edit sets one of few members of `data` to a value of its own. */
  type({ paces }) {
    for (const { name, ms } of paces) {
      const made = (typing.made[name] = []);
      const edit = () => {
        typing.count += 1;
        made.push(typing.count);
        pages[name].patch({ data: { [`key${typing.count % KEYS}`]: typing.count } });
      };
      typing.timers.push(setInterval(edit, ms));
    }
  },

  /** Has them stop, and tells the values that each set, in order. */
  rest() {
    typing.timers.forEach(clearInterval);
    return typing.made;
  },

  /**
   * Has pages write, each at its own pace: they add nodes, move them and rename them. The n-th edit of a page puts
   * n there, and into a member of `data` of the page's name.
   */
  write({ paces }) {
    for (const { name, ms } of paces) {
      writing.made[name] = 0;
      watch(name, pages[name]);
      const edit = () => {
        const n = (writing.made[name] += 1);
        const id = `${name}'s ${Math.floor(n / STEPS)}`;
        const isThere = pages[name].state.document.nodes[id] !== undefined;
        const changed = n % STEPS > 1 ? { data: { label: String(n) } } : { position: { x: n, y: 0 } };
        const made = { id, type: "agent", position: { x: n, y: 0 }, data: { label: String(n) } };
        pages[name].patch({ nodes: { [id]: isThere ? changed : made }, data: { [name]: n } });
        if (pages[name].state.document.data[name] !== n) {
          writing.lost.push(`${name}: ${n} isn't shown at once`);
        }
      };
      writing.timers.push(setInterval(edit, ms));
    }
  },

  /** Has them stop, and tells how many edits each made. */
  pause() {
    writing.timers.forEach(clearInterval);
    return writing.made;
  },

  /** Tells what any of them has taken back, up to now. */
  lost() {
    return writing.lost;
  },

  /** Tells what state the connection to a port is in, as WebSocket's `readyState`. */
  connection({ port }) {
    return Socket.newest.get(String(port)).readyState;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  let answer;
  try {
    answer = { gave: (await commands[command.do](command)) ?? null };
  } catch (error) {
    answer = { failed: error.stack };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
