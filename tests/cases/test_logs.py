"""A log that is cut short behind the daemon's back, and one order for everybody."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.cases.pages import Pages
from tests.support.daemon import Daemon
from tests.support.flowdata import node
from tests.support.postgres import shared_server
from tests.support.watched import eventually, get, rest

pytestmark = pytest.mark.case


def test_chn6_edits_acknowledged_after_a_failover_are_in_the_document(
    start_daemon: Callable[..., Daemon], pages: Pages
) -> None:
    """No snapshot is kept of a future that the log has lost."""
    server = shared_server()
    store = server.make_schema()
    schema = store.rpartition("search_path%3D")[2]
    daemon = start_daemon("--store", store)
    url = f"http://{daemon.address}"
    ada = pages.open(url, "demo")
    ada.saved()
    for n in range(1, 61):
        ada.patch({"data": {f"old{n}": n}})
        ada.saved()
    # The standby lacked the last of them.
    server.execute(f"DELETE FROM {schema}.helix_entries WHERE version > 55")
    server.execute(f"UPDATE {schema}.helix_flows SET version = 55")
    ada.stop()
    daemon.stop()
    daemon.start()
    ben = pages.open(url, "demo")
    ben.saved()
    for n in range(1, 9):
        ben.patch({"data": {f"new{n}": n}})
        ben.saved()
    ben.stop()
    daemon.kill()
    daemon.start()
    eventually(lambda: get(daemon, "/readyz")[0] == 200, "the store is open")
    data = rest(daemon, "GET", "/flows/demo")["document"]["data"]
    assert [name for name in data if name.startswith("new")] == [f"new{n}" for n in range(1, 9)]
    assert data == {name: data[name] for name in sorted(data)}


def test_doc12_everybody_draws_the_nodes_in_one_order(daemon: Daemon, pages: Pages) -> None:
    """Whoever was there all along, and who joins now."""
    early = pages.open(f"http://{daemon.address}", "demo")
    early.saved()
    for one in ("z", "m", "b"):
        early.patch({"nodes": {one: node(one)}})
        early.saved()
    early.patch({"nodes": {"m": None}})
    early.undo()
    early.saved()
    late = pages.open(f"http://{daemon.address}", "demo")
    late.saved()
    order = "return Object.keys(page.state.document.nodes)"
    assert early.run(order) == late.run(order) == ["b", "m", "z"]
