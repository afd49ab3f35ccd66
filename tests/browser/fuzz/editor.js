// Runs in each page of the editor before the editor does, for the fuzz: what the page keeps of its operations, and is
// told of them, is noted in localStorage, which outlives it. What is shown is asked of the flow that React has.

"use strict";

(() => {
  const PREFIX = "helix-flows:op:";
  const life = Math.random().toString(36).slice(2);
  const setItem = Storage.prototype.setItem;
  let doing = "start";
  let told = 0;
  let found = null;

  const note = (kind, name, value) => {
    setItem.call(localStorage, `fuzz:${kind}:${name}`, JSON.stringify({ life, ...value }));
  };

  Storage.prototype.setItem = function (key, text) {
    if (this === localStorage && key.startsWith(PREFIX)) {
      const { clientId, opId, patch, bases, replaces } = JSON.parse(text);
      const name = `${clientId} ${opId}`;
      const first = { life, how: doing, version: flow()?.state.version ?? 0 };
      const { how, version, ...before } = JSON.parse(localStorage.getItem(`fuzz:op:${name}`)) ?? first;
      const isDecided = replaces === undefined;
      note("op", name, { ...before, clientId, opId, patch, bases, isDecided, how, version });
    }
    setItem.call(this, key, text);
  };

  const flowIn = (fiber) => {
    const props = fiber.memoizedProps ?? {};
    return [props.sync, props.flow?.sync].find((one) => typeof one?.gather === "function");
  };

  /** The flow of the page, as React hands it down. */
  const flow = () => {
    const root = document.getElementById("root");
    const key = Object.keys(root ?? {}).find((name) => name.startsWith("__reactContainer"));
    for (const queue = key === undefined || found !== null ? [] : [root[key]]; queue.length > 0; ) {
      const fiber = queue.pop();
      found ??= flowIn(fiber) ?? null;
      queue.push(...(found === null ? [fiber.sibling, fiber.child].filter(Boolean) : []));
      if (found !== null) {
        found.listen(listen);
        break;
      }
    }
    return found;
  };

  const listen = (event) => {
    const isAsked = event.error?.code === "client_stopped";
    if (["refused", "dropped", "closed"].includes(event.type) && !isAsked) {
      told += 1;
      note("told", `${life} ${told}`, event);
    }
  };

  setInterval(flow, 50);

  window.fuzz = {
    doing(act) {
      doing = act;
    },
    life: () => life,
    look: () => ({ life, ...(flow()?.state.status ?? { kind: "none" }), version: flow()?.state.version }),
    document: () => flow()?.state.document ?? null,
    ids: () => [...document.querySelectorAll(".react-flow__node")].map(({ dataset }) => dataset.id).sort(),
    tokens: () => [...new Set(JSON.stringify(flow()?.state.document ?? null).match(/\b[a-zA-Z]\d{3}\b/g))],
    retry: () => flow()?.retryNow(),
  };
})();
