"""
What takes the client library long, in a page with nothing else: many edits that were made offline,
and a large document over a slow line.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Route

from tests.cases.network import Network, network
from tests.support.daemon import Daemon

EDITS = 600
NODES = 500

LINE = 250_000.0
"""Bytes a second: 2 Mbit."""

LARGE = 3_000_000
"""Bytes of the document that comes over it."""

LIMITS = ("--max-frame-bytes", str(8 << 20), "--max-patch-bytes", str(8 << 20))
"""Options of a daemon that takes all this at once."""

TIMEOUT_MS = 120_000.0

OPEN = """(flowId) => {
    window.flow = new Flows.FlowSync(flowId, {url: location.origin});
    flow.start();
}"""

SAVED = "() => flow.state.status.kind === 'saved'"

EDIT = """([edits, nodes]) => {
    for (let n = 0; n < edits; n += 1) {
        flow.patch({nodes: {[`n${n % nodes}`]: {data: {label: `edit ${n}`}}}});
    }
}"""

COME_BACK = """() => new Promise((resolve) => {
    const began = performance.now();
    let longest = 0;
    const press = (key) => {
        const before = performance.now();
        flow.gather('title', {title: `typed ${key}`}, {isText: true});
        longest = Math.max(longest, performance.now() - before);
        // The key is one more that has to be sent: so the last one is what is left at the most.
        if (flow.state.status.unsent > 1) setTimeout(press, 10, key + 1);
        else resolve([performance.now() - began, longest]);
    };
    flow.retryNow();
    press(0);
})"""

PRESS = """() => {
    const before = performance.now();
    flow.gather('title', {title: 'typed offline'}, {isText: true});
    return performance.now() - before;
}"""


def measure_lasting(browser: Browser, directory: Path, library: str) -> dict[str, float]:
    """The figures, each once; the daemon's data is in ``directory``."""
    daemon = Daemon(directory, "--store", "sqlite:flows.sqlite", *LIMITS)
    daemon.start()
    try:
        with network() as net:
            return {
                **_offline(browser, daemon, net, library),
                **_slow_line(browser, daemon, net, library),
            }
    finally:
        daemon.stop()


def _offline(browser: Browser, daemon: Daemon, net: Network, library: str) -> dict[str, float]:
    link = net.link(daemon.port)
    flow_id = _make(daemon, {f"n{n}": _node(f"n{n}") for n in range(NODES)})
    with _bare_page(browser, link.url, library) as page:
        page.evaluate(OPEN, flow_id)
        page.wait_for_function(SAVED)
        link.down()
        page.wait_for_function("() => flow.state.status.kind === 'offline'")
        page.evaluate(EDIT, [EDITS, NODES])
        page.evaluate("flow.flush()")
        key: float = page.evaluate(PRESS)
        link.up()
        back, longest = page.evaluate(COME_BACK)
    return {"offline_ms": back, "offline_key_ms": max(key, longest)}


def _slow_line(browser: Browser, daemon: Daemon, net: Network, library: str) -> dict[str, float]:
    text = "x" * 1000
    nodes = {f"n{n}": _node(f"n{n}", description=text) for n in range(LARGE // 1100)}
    flow_id = _make(daemon, nodes)
    link = net.link(daemon.port, speed=LINE)
    with _bare_page(browser, link.url, library) as page:
        began = time.perf_counter()
        page.evaluate(OPEN, flow_id)
        page.wait_for_function(SAVED)
        taken = time.perf_counter() - began
    return {"slow_line_s": taken}


@contextmanager
def _bare_page(browser: Browser, url: str, library: str) -> Iterator[Page]:
    """A page of that origin with the client library, and nothing else."""

    def serve(route: Route) -> None:
        route.fulfill(content_type="text/html", body=f"<!doctype html><script>{library}</script>")

    context = browser.new_context(permissions=["local-network-access"])
    context.set_default_timeout(TIMEOUT_MS)
    context.route("**/bare", serve)
    try:
        page = context.new_page()
        page.goto(f"{url}/bare")
        yield page
    finally:
        context.close()


def _node(node_id: str, x: float = 0, y: float = 0, **data: str) -> dict[str, Any]:
    return {"id": node_id, "type": "agent", "position": {"x": x, "y": y}, "data": data}


def _make(daemon: Daemon, nodes: dict[str, Any]) -> str:
    """Store a flow of these nodes, and give its id."""
    request = urllib.request.Request(
        f"http://{daemon.address}/api/flows",
        data=json.dumps({"document": {"nodes": nodes}}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60.0) as answer:
        flow_id: str = json.load(answer)["id"]
        return flow_id
