"""
How smooth is the editor, and how soon is it there? ``python bench/editor.py --help``.

The tests' Chromium, which draws without a graphics card, is in front of a real daemon on SQLite.
The mouse is Chromium's own: an event takes the way that somebody's hand would give it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from lasting import measure_lasting
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.chromium import install, installed
from tests.cases.bundle import bundle
from tests.support.daemon import Daemon

KINDS = ("agent", "sensor", "skill", "decision", "input", "output", "memory", "loop", "api")
ROWS, COLUMNS = 25, 40
CHAIN = 20_000
WINDOW = (1440, 900)
MIDDLE = (760, 500)
MOVES = 60
TIMEOUT_MS = 60_000.0

GOALS = {
    "pan_near": ("pan at 100 %, frames a second", 50.0),
    "pan_far": ("pan with all 1,000 in sight, frames a second", 50.0),
    "zoom": ("zoom from all to the nearest and back, frames a second", 50.0),
    "drag": ("drag a node at 100 %, frames a second", 50.0),
    "drag_far": ("drag a node with all in sight, frames a second", None),
    "worst_ms": ("the longest frame of all these, ms", None),
    "visit_ms": ("first visit to an interactive canvas, 20 nodes, ms", 1500.0),
    "visit_large_ms": ("the same with 1,000 nodes, ms", None),
    "chain_edges_ms": ("the same with 20,000 nodes in one chain of edges, ms", 3000.0),
    "chain_nested_ms": ("the same with 20,000 nodes, each in the next, ms", 3000.0),
    "bytes": ("scripts and styles before it, compressed, KB", 250.0),
    "offline_ms": ("600 edits made offline are back, in a flow of 500 nodes, ms", 2000.0),
    "offline_key_ms": ("the longest key stroke meanwhile, ms", 16.0),
    "slow_line_s": ("a join of 3 MB over 2 Mbit/s, of which the line takes 12, s", 15.0),
}

START_COUNTING = """() => {
    const frames = window.frames_ = [];
    const count = (at) => { frames.push(at); window.counting = requestAnimationFrame(count); };
    window.counting = requestAnimationFrame(count);
}"""
STOP_COUNTING = "() => { cancelAnimationFrame(window.counting); return window.frames_; }"

INTERACTIVE = """([count, at]) => new Promise((resolve) => {
    const look = () => {
        const nodes = [...document.querySelectorAll('.react-flow__node')];
        const isThere = nodes.length >= count && document.querySelector('.status.saved') !== null
            && nodes.every((node) => getComputedStyle(node).visibility === 'visible')
            && document.querySelector('.react-flow__edge-path') !== null;
        // The frame after the next one has been drawn with it.
        if (isThere) requestAnimationFrame(() => setTimeout(() => resolve(performance.now()), 0));
        else requestAnimationFrame(look);
    };
    look();
})"""


def make_flow(daemon: Daemon, rows: int, columns: int) -> str:
    """Store a grid of nodes, each joined with the next of its row, and give the flow's id."""
    nodes, edges = {}, {}
    for n in range(rows * columns):
        row, column = divmod(n, columns)
        nodes[f"n{n}"] = {
            "id": f"n{n}",
            "type": KINDS[n % len(KINDS)],
            "position": {"x": column * 320, "y": row * 120},
            "data": {"label": f"Node {n}", "description": "What it does"},
        }
        if column > 0:
            edges[f"e{n}"] = {"id": f"e{n}", "source": f"n{n - 1}", "target": f"n{n}"}
    return store(daemon, nodes, edges)


def make_chain(daemon: Daemon, count: int, is_nested: bool) -> str:
    """Store nodes that are joined to the next one each, or lie in it, and give the flow's id."""
    nodes: dict[str, Any] = {}
    edges: dict[str, Any] = {}
    for n in range(count):
        column, row = (n % 2, n % 3) if is_nested else divmod(n, 200)
        nodes[f"n{n}"] = {
            "id": f"n{n}",
            "type": KINDS[n % len(KINDS)],
            "position": {"x": 320 * column, "y": 120 * row},
            "data": {"label": f"Node {n}"},
        }
        if is_nested and n > 0:
            nodes[f"n{n}"] |= {"parentId": f"n{n - 1}", "position": {"x": 24, "y": 16}}
        elif n > 0:
            edges[f"e{n}"] = {"id": f"e{n}", "source": f"n{n - 1}", "target": f"n{n}"}
    if is_nested:
        edges["e"] = {"id": "e", "source": "n0", "target": "n1"}
    return store(daemon, nodes, edges)


def store(daemon: Daemon, nodes: dict[str, Any], edges: dict[str, Any]) -> str:
    """Store a flow, and give its id."""
    document = {"title": f"{len(nodes)} nodes", "nodes": nodes, "edges": edges}
    request = urllib.request.Request(
        f"http://{daemon.address}/api/flows",
        data=json.dumps({"document": document}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30.0) as answer:
        flow_id: str = json.load(answer)["id"]
        return flow_id


@contextmanager
def new_page(browser: Browser, daemon: Daemon) -> Iterator[Page]:
    """A page of somebody who has never been here: nothing cached, nothing kept."""
    width, height = WINDOW
    context = browser.new_context(
        base_url=f"http://{daemon.address}", viewport={"width": width, "height": height}
    )
    context.set_default_timeout(TIMEOUT_MS)
    try:
        yield context.new_page()
    finally:
        context.close()


def frames(page: Page, act: Callable[[], None]) -> tuple[float, float]:
    """Do something; give the frames a second meanwhile, and the longest in ms."""
    page.evaluate(START_COUNTING)
    act()
    times: list[float] = page.evaluate(STOP_COUNTING)
    gaps = [after - before for before, after in itertools.pairwise(times)]
    return 1000 * len(gaps) / (times[-1] - times[0]), max(gaps)


def drag(page: Page, start: tuple[float, float]) -> None:
    """Press the button, go to and fro, let go."""
    x, y = start
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 240, y + 120, steps=MOVES // 2)
    page.mouse.move(x, y, steps=MOVES // 2)
    page.mouse.up()


def zoom(page: Page) -> None:
    page.mouse.move(*MIDDLE)
    page.keyboard.down("Control")
    for n in range(MOVES):
        page.mouse.wheel(0, -14 if n < MOVES // 2 else 14)
    page.keyboard.up("Control")


def node_in_sight(page: Page) -> tuple[float, float]:
    """A point on the node that is nearest to the middle of the window."""
    point: list[float] = page.evaluate(
        """([x, y]) => [...document.querySelectorAll('.react-flow__node')]
            .map((node) => node.getBoundingClientRect())
            .map((box) => [box.x + box.width / 2, box.y + box.height / 3])
            .map(([left, top]) => [Math.hypot(left - x, top - y), left, top])
            .toSorted((a, b) => a[0] - b[0])[0].slice(1)""",
        list(MIDDLE),
    )
    return point[0], point[1]


def measure_motion(browser: Browser, daemon: Daemon, flow_id: str) -> dict[str, float]:
    """Frames a second, in one page on the flow of 1,000 nodes."""
    found = {}
    with new_page(browser, daemon) as page:
        page.goto(f"/flow/{flow_id}")
        page.evaluate(INTERACTIVE, [1, 0])
        page.keyboard.press("Shift+F")
        page.wait_for_timeout(600)  # until what that sets in motion has come to rest
        found["pan_far"] = frames(page, lambda: drag(page, (40, 740)))
        point = node_in_sight(page)
        found["drag_far"] = frames(page, lambda: drag(page, point))
        found["zoom"] = frames(page, lambda: zoom(page))
        page.mouse.move(*MIDDLE)
        page.keyboard.press("Control+0")
        page.wait_for_timeout(600)
        x, y = node_in_sight(page)
        found["pan_near"] = frames(page, lambda: drag(page, (x, y + 52)))
        x, y = node_in_sight(page)
        found["drag"] = frames(page, lambda: drag(page, (x, y)))
    rates = {name: rate for name, (rate, _) in found.items()}
    return {**rates, "worst_ms": max(longest for _, longest in found.values())}


def measure_visit(browser: Browser, daemon: Daemon, flow_id: str, shown: int) -> dict[str, float]:
    """A first visit: how long, and how many bytes of scripts and styles it took."""
    sizes: list[int] = []
    with new_page(browser, daemon) as page:
        page.on(
            "response",
            lambda response: (
                sizes.append(int(response.headers.get("content-length", "0")))
                if response.url.endswith((".js", ".css"))
                else None
            ),
        )
        page.goto(f"/flow/{flow_id}", wait_until="commit")
        milliseconds: float = page.evaluate(INTERACTIVE, [shown, 0])
    return {"ms": milliseconds, "bytes": sum(sizes) / 1000}


OTHER_VISITS = {
    "large": "visit_large_ms",
    "chain": "chain_edges_ms",
    "nested": "chain_nested_ms",
}


def measure_round(browser: Browser, daemon: Daemon, flows: dict[str, str]) -> dict[str, float]:
    """Those of the editor alone."""
    figures = measure_motion(browser, daemon, flows["large"])
    visit = measure_visit(browser, daemon, flows["small"], 20)
    others = {name: measure_visit(browser, daemon, flows[name], 1)["ms"] for name in OTHER_VISITS}
    return {
        **figures,
        "visit_ms": visit["ms"],
        **{figure: others[name] for name, figure in OTHER_VISITS.items()},
        "bytes": visit["bytes"],
    }


def measure(rounds: int) -> list[dict[str, float]]:
    """All figures, of each round."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        browsers, flows = directory / "chromium", directory / "flows"
        browsers.mkdir()
        flows.mkdir()
        install(browsers)
        chromium = installed(browsers)
        bundle(directory / "flows.js", "iife", "browser", "Flows")
        library = (directory / "flows.js").read_text(encoding="utf-8")
        daemon = Daemon(
            flows, "--store", "sqlite:flows.sqlite", "--max-document-members", str(2 * CHAIN)
        )
        daemon.start()
        try:
            flow_ids = {
                "small": make_flow(daemon, 4, 5),
                "large": make_flow(daemon, ROWS, COLUMNS),
                "chain": make_chain(daemon, CHAIN, is_nested=False),
                "nested": make_chain(daemon, CHAIN, is_nested=True),
            }
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=chromium.program,
                    args=["--no-sandbox"],
                    env={**chromium.environment},
                )
                measured = []
                for number in range(rounds):
                    print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
                    lasting = directory / f"lasting{number}"
                    lasting.mkdir()
                    measured.append(
                        {
                            **measure_round(browser, daemon, flow_ids),
                            **measure_lasting(browser, lasting, library),
                        }
                    )
                browser.close()
        finally:
            daemon.stop()
    return measured


def table(rounds: Sequence[dict[str, float]]) -> str:
    """The medians, the least and the most, and whether the goals are met; as Markdown."""
    lines = ["| figure | goal | measured | |", "| --- | --- | --- | --- |"]
    for name, (title, goal) in GOALS.items():
        values = [one[name] for one in rounds]
        middle = median(values)
        is_rate = title.endswith("frames a second")
        sign = "≥" if is_rate else "≤"
        verdict = "" if goal is None else "met" if (middle >= goal) == is_rate else "missed"
        said = "" if goal is None else f"{sign} {goal:,.0f}"
        spread = f"{middle:,.1f} ({min(values):,.1f} to {max(values):,.1f})"
        lines.append(f"| {title} | {said} | {spread} | {verdict} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="bench/editor.py", description="Measure the editor that was built last."
    )
    parser.add_argument("--rounds", type=int, default=5, help="of which medians are taken (5)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write every figure, as JSON")
    options: Any = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("rounds must be positive")
    rounds = measure(options.rounds)
    if options.output:
        options.output.write_text(json.dumps(rounds, indent=2) + "\n", encoding="utf-8")
    print(table(rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
