// A page with nothing but a flow in it, for the fuzz: what is done in it is asked for by Python, act by act.
//
// Each act that edits carries a token of its own: a member of the flow's `data`, or of the `data.marks` of a node.
// What becomes of it can be looked for in the log. Whatever the page keeps of its operations, and is told of them, is
// noted in localStorage, which outlives it.

"use strict";

(() => {
  const asked = new URLSearchParams(location.search);
  const flowId = asked.get("flow");
  const life = `${asked.get("page")}.${Math.random().toString(36).slice(2)}`;
  let doing = "start";
  let told = 0;

  const note = (kind, name, value) => {
    localStorage.setItem(`fuzz:${kind}:${name}`, JSON.stringify({ life, ...value }));
  };

  class NotingKeeper extends Flows.BrowserKeeper {
    put(owner, operation) {
      const { clientId, opId, patch, bases, replaces } = operation;
      const name = `${clientId} ${opId}`;
      const first = { life, how: doing, version: flow.state.version };
      const { how, version, ...before } = JSON.parse(localStorage.getItem(`fuzz:op:${name}`)) ?? first;
      const isDecided = replaces === undefined;
      note("op", name, { ...before, clientId, opId, patch, bases, isDecided, how, version });
      return super.put(owner, operation);
    }
  }

  const flow = new Flows.FlowSync(flowId, {
    url: location.origin,
    keeper: new NotingKeeper(),
    user: { name: asked.get("page") },
  });
  flow.listen((event) => {
    const isAsked = event.error?.code === "client_stopped";
    if (["refused", "dropped", "closed"].includes(event.type) && !isAsked) {
      told += 1;
      note("told", `${life} ${told}`, event);
    }
  });

  /** Tells which tokens are shown: those of the flow, and those of nodes behind a dot. */
  const tokens = () => {
    const { data, nodes } = flow.state.document;
    const marks = Object.values(nodes).flatMap((node) => Object.keys(node.data.marks ?? {}));
    return [...Object.keys(data), ...marks.map((name) => `.${name}`)].filter((name) => /^\.?[a-zA-Z]\d{3}$/.test(name));
  };

  const pick = (list, at) => list[at % list.length];

  const marked = (token, data = {}) => ({ ...data, marks: { [token]: 1 } });

  const newNode = (id, token, rest = {}) => ({
    id,
    type: "agent",
    position: { x: 0, y: 0 },
    ...rest,
    data: marked(token, { label: id }),
  });

  /** What each act makes of what is shown: a patch, or none. `at` and `to` say of what. */
  const edits = {
    field({ at, to, token, nodes }) {
      const id = pick(nodes, at);
      return id && { nodes: { [id]: { data: marked(token, { [`field${to % 2}`]: token }) } } };
    },
    /** One of two values, so that it may be the same again. */
    choose({ at, to, token, nodes }) {
      const id = pick(nodes, at);
      return id && { nodes: { [id]: { data: marked(token, { choice: to % 2 }) } } };
    },
    object({ at, to, token, nodes }) {
      const id = pick(nodes, at);
      const headers = to % 3 === 0 ? { [`key${to % 2}`]: null } : { [`key${to % 2}`]: token };
      return id && { nodes: { [id]: { data: marked(token, { headers }) } } };
    },
    move({ at, to, token, nodes }) {
      const id = pick(nodes, at);
      return id && { nodes: { [id]: { position: { x: to, y: at }, data: marked(token) } } };
    },
    moveAll({ to, token, nodes }) {
      const moved = nodes.map((id, n) => [
        id,
        { position: { x: to + n, y: n }, ...(n === 0 ? { data: marked(token) } : {}) },
      ]);
      return nodes.length > 0 && { nodes: Object.fromEntries(moved) };
    },
    add({ at, to, token, groups }) {
      const parent = to % 3 === 0 ? pick(groups, at) : undefined;
      const rest = { position: { x: to, y: at }, ...(parent ? { parentId: parent } : {}) };
      return { nodes: { [`n${token}`]: newNode(`n${token}`, token, rest) } };
    },
    group({ at, to, token, nodes }) {
      const id = `n${token}`;
      const inside = [...new Set([pick(nodes, at), pick(nodes, to)])].filter(Boolean);
      const taken = inside.map((one, n) => [one, { parentId: id, position: { x: 20, y: 40 * n } }]);
      const group = newNode(id, token, { type: "group", position: { x: to, y: at } });
      return { nodes: { [id]: group, ...Object.fromEntries(taken) } };
    },
    into({ at, to, token, nodes, groups }) {
      const [id, parentId] = [pick(nodes, at), pick(groups, to)];
      const moved = { parentId, position: { x: to, y: at }, data: marked(token) };
      return id && parentId && id !== parentId && { nodes: { [id]: moved } };
    },
    out({ at, to, token, nodes, all }) {
      const id = pick(nodes.filter((one) => all[one].parentId), at);
      const moved = { parentId: null, position: { x: to, y: at }, data: marked(token) };
      return id && { nodes: { [id]: moved } };
    },
    remove({ at, nodes }) {
      const id = pick(nodes, at);
      return id && { nodes: { [id]: null } };
    },
    ungroup({ at, groups }) {
      const id = pick(groups, at);
      return id && { nodes: { [id]: null } };
    },
    removeWhole({ at, nodes, groups, all }) {
      const id = pick(groups, at);
      const inside = nodes.filter((one) => one === id || all[one].parentId === id);
      return id && { nodes: Object.fromEntries(inside.map((one) => [one, null])) };
    },
    connect({ at, to, token, nodes }) {
      const [source, target] = [pick(nodes, at), pick(nodes, to)];
      const id = `x${token}`;
      return source && { edges: { [id]: { id, source, target } } };
    },
    reconnect({ at, to, nodes, edges }) {
      const [id, target] = [pick(edges, at), pick(nodes, to)];
      return id && target && { edges: { [id]: { target } } };
    },
    disconnect({ at, edges }) {
      const id = pick(edges, at);
      return id && { edges: { [id]: null } };
    },
    paste({ at, to, token, nodes, all }) {
      const [one, other] = [pick(nodes, at), pick(nodes, to)];
      if (!one) {
        return undefined;
      }
      const copy = (from, id) => ({ ...all[from], id, data: marked(token, { label: from }) });
      const [a, b, edge] = [`n${token}a`, `n${token}b`, `x${token}`];
      return {
        nodes: { [a]: copy(one, a), [b]: copy(other, b) },
        edges: { [edge]: { id: edge, source: a, target: b } },
      };
    },
    title({ token }) {
      return { title: token };
    },
    describe({ token }) {
      return { description: token };
    },
    /** More than the server takes at once, in parts. */
    many({ token }) {
      const made = Array.from({ length: 40 }, (_, n) => [
        `n${token}p${n}`,
        newNode(`n${token}p${n}`, token, { position: { x: n, y: n }, note: "x".repeat(150) }),
      ]);
      return { nodes: Object.fromEntries(made) };
    },
    /** More than it takes, in one piece. */
    large({ at, token, nodes }) {
      const id = pick(nodes, at);
      return id && { nodes: { [id]: { data: marked(token, { picture: "x".repeat(6000) }) } } };
    },
  };

  /** What each act types into, and so makes of what is shown, bit by bit. */
  const fields = {
    typeTitle: ({ token }, { title }) => ["title", { title: `${title}${token} ` }],
    typeLabel({ at, token, nodes }, { nodes: all }) {
      const id = pick(nodes, at);
      const label = `${all[id]?.data.label ?? ""}${token} `;
      return id && [`label ${id}`, { nodes: { [id]: { data: marked(token, { label }) } } }];
    },
  };

  const others = {
    undo: () => flow.undo(),
    redo: () => flow.redo(),
    flush: () => flow.flush(),
    restore: () => flow.state.dropped.length > 0 && flow.restore(...flow.state.dropped),
    dismiss: () => flow.dismiss(),
    stop: () => flow.stop(),
    start: () => flow.start(),
    restart() {
      flow.stop();
      flow.start();
    },
    point: ({ at, to }) => flow.setCursor({ x: at, y: to, moving: { n0: { x: at, y: to } } }),
    retry: () => flow.retryNow(),
  };

  /** An edit has to be found in the log though the node that it is about isn't there any more. */
  const witnessed = (patch, token) => ({ ...patch, data: { ...patch.data, [token]: 1 } });

  const edit = (asked) => {
    const { document } = flow.state;
    const all = document.nodes;
    const nodes = Object.keys(all).sort();
    const groups = nodes.filter((id) => all[id].type === "group");
    const about = { ...asked, all, nodes, groups, edges: Object.keys(document.edges).sort() };
    const { token } = asked;
    const finish = (patch) => (asked.isWitnessed ? witnessed(patch, token) : patch);
    if (fields[asked.act] !== undefined) {
      const typed = fields[asked.act](about, document);
      if (typed) {
        flow.gather(typed[0], finish(typed[1]), { isText: true });
      }
      return Boolean(typed);
    }
    const patch = edits[asked.act](about);
    if (patch) {
      flow.patch(finish(patch));
    }
    return Boolean(patch);
  };

  window.fuzz = {
    flow,
    /** Does what is asked; tells whether it did, and which tokens were shown before and afterwards. */
    act(asked) {
      doing = asked.act;
      const isEdit = asked.act in edits || asked.act in fields;
      const before = flow.state.document === null ? null : tokens();
      if (isEdit && before === null) {
        return null;
      }
      const done = isEdit ? edit(asked) : others[asked.act](asked);
      doing = "later";
      const after = before === null ? null : tokens();
      return { life, done: Boolean(done), before: before ?? [], after: after ?? [] };
    },
    /** Tells where the page stands. */
    look: () => ({ life, ...flow.state.status, version: flow.state.version }),
    document: () => flow.state.document,
    retry: () => flow.retryNow(),
  };
  flow.start();
})();
