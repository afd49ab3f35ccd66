// Loads one server with the members of one kind, and prints what that cost as one line of JSON:
//
//     node generate.js '{"client": "helix", "workload": "closed", "url": "ws://127.0.0.1:4000", ...}'
//
// `bench/peers.py` says what else there is to tell. Without a duration a workload is counted.

import { setTimeout as wait } from "node:timers/promises";

const settings = JSON.parse(process.argv[2]);
if (settings.is_unthrottled) {
  process.env.NODE_ENV = "test"; // tldraw's client then sends each edit, not 30 times a second
}

process.setMaxListeners(0); // y-websocket's client adds one each

const { CLIENTS } = await import("./clients.js");
const { attend } = await import("./audience.js");
const { cpuOf, cpuOfFamily, memoryOf } = await import("./usage.js");

const SETTLE_MS = 1000;
const EDITS_A_SECOND = 2;
const POINTS_A_SECOND = 15;
const WATCHERS = 10;
const PATIENCE_MS = 5000;

const join = (flow, options) =>
  CLIENTS[settings.client](settings.url, flow, { isPlain: settings.is_plain, ...options });

/** Does something `count` times, at most so many at a time. */
async function inParallel(count, limit, act) {
  let next = 0;
  const results = [];
  const work = async () => {
    while (next < count) {
      const n = next;
      next += 1;
      results[n] = await act(n);
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, count) }, work));
  return results;
}

async function until(condition, milliseconds, what) {
  const end = performance.now() + milliseconds;
  while (!condition()) {
    if (performance.now() > end) {
      throw new Error(`after ${milliseconds / 1000} s, ${what}`);
    }
    await wait(10);
  }
}

/** Joins a flow as its first member, and makes its nodes. */
async function found(flow, options) {
  const member = await join(flow, options);
  member.fill(settings.nodes);
  return member;
}

/** Joins a flow, and waits until it is there. */
async function enter(flow, options) {
  const member = await join(flow, options);
  await until(() => member.size === settings.nodes, 30_000, `${flow} has ${member.size} nodes`);
  return member;
}

function usage() {
  const database = settings.database_pid ? cpuOfFamily(settings.database_pid) : 0;
  const loop = performance.eventLoopUtilization();
  return { at: performance.now(), server: cpuOf(settings.pid), database, loop };
}

function percentile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null;
}

function describe(before, after, count) {
  const microseconds = (after.at - before.at) * 1000;
  return {
    count,
    per_second: (count / microseconds) * 1e6,
    server_us: (after.server - before.server) / count,
    database_us: (after.database - before.database) / count,
    server_share: (after.server - before.server) / microseconds,
    generator_share: performance.eventLoopUtilization(after.loop, before.loop).utilization,
  };
}

function latencies(took) {
  const sorted = took.toSorted((a, b) => a - b);
  return { p50_ms: percentile(sorted, 0.5), p99_ms: percentile(sorted, 0.99) };
}

/** Lets each writer make its next edit once the last member shows the one before, and it is acknowledged. */
async function closed() {
  const { flows, members, writers, nodes, acknowledges } = settings;
  let edits = 0;
  let took = [];
  let moves = 0;

  const begin = (writer, number, watcher) => {
    const turns = Math.floor(nodes / writers);
    let turn = 0;
    let waitsFor = 0;
    let began = 0;
    let last = 0;
    const next = () => {
      turn = (turn + 1) % turns;
      moves += 1;
      last = moves;
      waitsFor = acknowledges ? 2 : 1;
      began = performance.now();
      writer.move(`n${turn * writers + number}`, last);
    };
    const advance = () => {
      waitsFor -= 1;
      if (waitsFor === 0) {
        edits += 1;
        took.push(performance.now() - began);
        setImmediate(next);
      }
    };
    if (acknowledges) {
      writer.onSaved = advance;
    }
    watcher.push((x) => x === last && advance());
    return next;
  };

  const starts = await inParallel(flows, 16, async (n) => {
    const flow = `flow${n}`;
    const group = [await found(flow)];
    await wait(100);
    group.push(...(await inParallel(writers, 16, () => enter(flow))));
    await inParallel(members - group.length, 16, () => attend(settings.client, settings.url, flow));
    await until(() => group[0].size === nodes, 30_000, "the first member has no nodes");
    const watching = [];
    group.at(-1).onMove = (_id, x) => {
      for (const look of watching) {
        look(x);
      }
    };
    return group.slice(0, writers).map((writer, number) => begin(writer, number, watching));
  });
  await wait(SETTLE_MS);
  for (const start of starts.flat()) {
    start();
  }
  await wait(settings.warm_up * 1000);
  const before = usage();
  edits = 0;
  took = [];
  await wait(settings.duration * 1000);
  const after = usage();
  return { ...describe(before, after, edits), ...latencies(took) };
}

/** Lets members join flows that others have open. */
async function joins() {
  const { flows, joins: count } = settings;
  const members = await inParallel(flows, 16, (n) => found(`flow${n}`));
  await wait(SETTLE_MS);
  const memory = memoryOf(settings.pid);
  const enterAll = (from, to) =>
    inParallel(to - from, 16, async (n) => {
      members.push(await enter(`flow${(from + n) % flows}`));
    });
  const half = Math.floor(count / 2);
  const before = usage();
  await enterAll(0, half);
  const middle = usage();
  await enterAll(half, count);
  const after = usage();
  await wait(SETTLE_MS);
  return {
    ...describe(before, after, count),
    second_half_us: describe(middle, after, count - half).server_us,
    memory_kb: (memoryOf(settings.pid) - memory) / count,
  };
}

/** Lets the writers of one room edit and point at their own pace, and looks at how long an edit takes. */
async function room() {
  const { members, writers, nodes } = settings;
  const options = { hasPointers: true };
  const watching = Math.min(WATCHERS, members - 1);
  const others = Math.min(members, writers + watching) - 1;
  const isWatcher = (number) => number > others - watching;
  const plainly = { ...options, isPlain: true };
  const real = [await found("room", isWatcher(0) ? options : plainly)];
  await wait(SETTLE_MS);
  const come = (n) => enter("room", isWatcher(n + 1) ? options : plainly);
  real.push(...(await inParallel(others, 16, come)));
  await inParallel(members - real.length, 16, () => attend(settings.client, settings.url, "room"));

  for (const member of real.slice(0, -watching)) {
    member.stopLooking();
  }

  const due = new Map();
  const took = [];
  let isCounting = false;
  let expected = 0;
  let pointers = 0;
  for (const member of real.slice(-watching)) {
    member.onMove = (_id, x) => {
      const at = due.get(x);
      if (at !== undefined) {
        took.push(performance.now() - at);
      }
    };
    member.onCursor = () => {
      pointers += 1;
    };
  }
  let moves = 0;
  const timers = real.slice(0, writers).map((member, number) => {
    const every = (perSecond, act) => {
      const step = 1000 / perSecond;
      let at = performance.now() + (step * number) / writers;
      let timer;
      const tick = () => {
        act(at);
        at += step;
        again();
      };
      const again = () => {
        timer = setTimeout(tick, Math.max(0, at - performance.now()));
      };
      again();
      return () => clearTimeout(timer);
    };
    const stopEdits = every(EDITS_A_SECOND, (at) => {
      moves += 1;
      if (isCounting) {
        due.set(moves, at);
        expected += isWatcher(number) ? watching - 1 : watching;
      }
      member.move(`n${number % nodes}`, moves);
    });
    const stopPoints = every(POINTS_A_SECOND, (at) => member.point(at));
    return () => {
      stopEdits();
      stopPoints();
    };
  });

  await wait(settings.warm_up * 1000);
  const before = usage();
  isCounting = true;
  pointers = 0;
  await wait(settings.duration * 1000);
  const after = usage();
  isCounting = false;
  const seconds = (after.at - before.at) / 1000;
  const pointersPerSecond = pointers / seconds / watching;
  const end = performance.now() + PATIENCE_MS;
  while (took.length < expected && performance.now() < end) {
    await wait(10);
  }
  for (const stop of timers) {
    stop();
  }
  const missing = Math.max(0, expected - took.length);
  took.push(...Array.from({ length: missing }, () => Infinity));
  return {
    ...describe(before, after, due.size),
    ...latencies(took),
    missing,
    pointers_per_second: pointersPerSecond,
  };
}

const WORKLOADS = { closed, joins, room };
const figures = await WORKLOADS[settings.workload]();
process.stdout.write(`${JSON.stringify(figures)}\n`, () => process.exit());
