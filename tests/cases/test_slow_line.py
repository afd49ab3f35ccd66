"""Lines that carry little: what is large comes all the same."""

from __future__ import annotations

import pytest

from tests.cases.network import Network
from tests.cases.pages import Pages
from tests.support.daemon import Daemon
from tests.support.flowdata import node
from tests.support.watched import rest

pytestmark = pytest.mark.case

SPEED = 2_000_000 / 8
"""Bytes a second: a bad mobile line."""


def test_jsc19_large_document_comes_over_a_slow_line(
    daemon: Daemon, pages: Pages, net: Network
) -> None:
    nodes = {f"n{n}": {**node(f"n{n}"), "data": {"text": "x" * 3000}} for n in range(1000)}
    rest(daemon, "POST", "/flows", {"id": "demo", "document": {"nodes": nodes}})
    page = pages.open(net.link(daemon.port, 0.05, SPEED).url, "demo")
    page.until("page.state.status.kind === 'saved'", 60)
    assert page.document["nodes"] == nodes
    assert page.run("return page.state.status.failedAttempts") == 0
