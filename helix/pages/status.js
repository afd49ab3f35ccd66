"use strict";

const INTERVAL = 2000; // milliseconds between two questions
const PATIENCE = 5000; // milliseconds for an answer
const KEPT = 60; // points of a line: two minutes
const LATE = 50; // milliseconds of lag that are worth a look

function others({ broker, nodes }) {
  if (broker === "up") return nodes === 1 ? ", the only node" : `, one of ${nodes} nodes`;
  return broker === "away" ? ", does not hear other nodes" : "";
}

const lines = { connections: [], sessions: [], patches: [], lag: [] };
let before = null;

// Beside this script, whatever path the server is below.
const NUMBERS = new URL("api/status", document.currentScript.src);

const byId = (id) => document.getElementById(id);
const say = (id, text) => { byId(id).textContent = text; };
const whole = (number) => Math.round(number).toLocaleString("en");

function duration(seconds) {
  const [minutes, hours, days] = [60, 3600, 86400].map((unit) => Math.floor(seconds / unit));
  if (days) return `${days} d ${hours % 24} h`;
  if (hours) return `${hours} h ${minutes % 60} min`;
  return minutes ? `${minutes} min` : `${Math.floor(seconds)} s`;
}

function workers(all) {
  return all.length ? `, ${all.filter((one) => one.up).length} of ${all.length} workers answer` : "";
}

function draw(name, value) {
  const values = lines[name];
  values.push(value);
  if (values.length > KEPT) values.shift();
  const most = Math.max(...values, 1e-9);
  const points = values.map((one, at) => `${KEPT - values.length + at} ${(20 - (one / most) * 19).toFixed(2)}`);
  byId(`${name}-line`).setAttribute("d", `M${points.join("L")}`);
}

function showRate(now) {
  if (before !== null && now.uptime > before.uptime) {
    const made = Math.max(0, now.patches - before.patches); // fewer after a restart
    const rate = made / (now.uptime - before.uptime);
    say("patches-title", "Patches per second");
    say("patches", rate < 10 && rate > 0 ? rate.toFixed(1) : whole(rate));
    say("patches-note", `${whole(now.patches)} stored since the start`);
    draw("patches", rate);
  }
  before = now;
}

function show(now) {
  const lag = now.reactor_lag_max * 1000;
  for (const name of ["connections", "sessions", "members"]) say(name, whole(now[name]));
  say("lag", lag.toFixed(1));
  say("version", now.version);
  say("uptime", duration(now.uptime));
  say("broker", others(now));
  say("workers", workers(now.workers ?? []));
  byId("lag-tile").classList.toggle("late", lag > LATE);
  draw("connections", now.connections);
  draw("sessions", now.sessions);
  draw("lag", now.reactor_lag * 1000);
  showRate(now);
}

function tell(isThere) {
  const text = isThere ? "Running" : "Not answering";
  if (byId("state").textContent !== text) say("state", text);
  byId("state").classList.toggle("bad", !isThere);
  document.body.classList.toggle("stale", !isThere);
}

async function ask() {
  if (document.hidden) return;
  try {
    const answer = await fetch(NUMBERS, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    show(await answer.json());
    tell(true);
  } catch {
    tell(false);
  }
}

async function go() {
  await ask();
  setTimeout(go, INTERVAL);
}

go();
