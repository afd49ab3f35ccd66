"""A clock that is set while people work."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cases.pages import Pages
from tests.support.daemon import Daemon
from tests.support.flowdata import node
from tests.support.rawsocket import RawWebSocket
from tests.support.wrongclock import MachineClock

pytestmark = pytest.mark.case


@pytest.mark.parametrize("by", [-3600, 31 * 86_400])
def test_clk1_all_goes_on_when_the_clock_is_set(
    start_daemon: Callable[..., Daemon], pages: Pages, tmp_path: Path, by: int
) -> None:
    machine = MachineClock(tmp_path / "ahead")
    daemon = start_daemon("--store", "sqlite:flows.sqlite", before=machine.command)
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
        machine.set(by)
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
