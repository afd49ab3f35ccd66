"""A clock that is set while people work."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cases.pages import Pages
from tests.daemon import Daemon
from tests.flowdata import node
from tests.rawsocket import RawWebSocket

pytestmark = pytest.mark.case


CLOCK = """
import runpy, sys, time
real, offset = time.time, sys.argv[1]
def set_clock():
    with open(offset) as file:
        return real() + float(file.read() or 0)
time.time = set_clock
sys.argv[:] = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a program under a wall clock that is ahead by the seconds that a file has."""


@pytest.mark.parametrize("by", [-3600, 31 * 86_400])
def test_clk1_all_goes_on_when_the_clock_is_set(
    start_daemon: Callable[..., Daemon], pages: Pages, tmp_path: Path, by: int
) -> None:
    offset = tmp_path / "offset"
    offset.write_text("0")
    runner = tmp_path / "clock.py"
    runner.write_text(CLOCK)
    before = [sys.executable, str(runner), str(offset)]
    daemon = start_daemon("--store", "sqlite:flows.sqlite", before=before)
    url = f"http://{daemon.address}"
    ada = pages.open(url, "demo", user={"name": "Ada"})
    ben = pages.open(url, "demo", user={"name": "Ben"})
    ada.saved()
    ben.saved()
    with RawWebSocket(daemon.port) as old:
        old.join("flow:demo")
        ada.patch({"nodes": {"n1": node("n1")}})
        ada.saved()
        ada.run("page.setCursor({ x: 1, y: 1 })")
        ben.until("page.state.cursors.size === 1")
        offset.write_text(f"{by}")
        began = time.monotonic()
        ada.patch({"title": "later"})
        ada.saved()
        ben.until("page.state.document.title === 'later'")
        ada.run("page.setCursor({ x: 2, y: 2 })")
        ben.until("[...page.state.cursors.values()].some(({ x }) => x === 2)")
        caro = pages.open(url, "demo", user={"name": "Caro"})
        caro.saved()
        caro.until("page.state.members.length === 3")
        ada.patch({"nodes": {"n2": node("n2")}})
        nodes: list[Any] = []
        while len(nodes) < 2:
            frame: Any = old.read_json()
            if frame[3] == "flow_update":
                nodes = frame[4]["changes"]["nodes"]
        assert ada.status == ben.status == "saved"
        assert time.monotonic() - began < 10
