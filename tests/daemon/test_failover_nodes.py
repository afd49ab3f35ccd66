"""PostgreSQL fails over under two daemons. (docs/spec.md, NOD107, NOD108)"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from tests.support.daemon import Daemon, start_daemon
from tests.support.nodes import TOPIC, join, wait_until_heard
from tests.support.postgres import Pair, pair
from tests.support.rawsocket import RawWebSocket
from tests.support.watched import eventually, faults_in, metric, rest

__all__ = ["pair", "start_daemon"]

StartDaemon = Callable[..., Daemon]

PATIENCE = 40.0


class Writer:
    """
    A member that sends each edit again, as it was, until it is acknowledged.

    :ivar acknowledged: the version of each edit, by its ``op_id``.
    :ivar refused: how often one was refused for now.
    """

    def __init__(self, member: RawWebSocket, client_id: str) -> None:
        self.client_id = client_id
        self.acknowledged: dict[int, int] = {}
        self.refused = 0
        self._member = member
        self._numbers = count(1)

    def write(self) -> None:
        op_id = next(self._numbers)
        patch = {"title": f"{self.client_id} {op_id}"}
        deadline = time.monotonic() + PATIENCE
        while True:
            reply: Any = self._member.ask(TOPIC, "patch", {"op_id": op_id, "patch": patch})
            if reply[4]["status"] == "ok":
                self.acknowledged[op_id] = reply[4]["response"]["version"]
                return
            assert reply[4]["response"]["retry"], reply
            assert time.monotonic() < deadline, reply
            self.refused += 1


@pytest.fixture
def nodes(start_daemon: StartDaemon, pair: Pair) -> Iterator[tuple[Daemon, Daemon]]:
    url = f"{pair.url}?target_session_attrs=read-write"
    nodes = start_daemon("--store", url), start_daemon("--store", url)
    wait_until_heard(nodes)
    rest(nodes[0], "POST", "/flows", {"id": "f", "document": {"title": "Old"}})
    yield nodes
    for node in nodes:
        assert not faults_in(node.log)


def documents(nodes: tuple[Daemon, Daemon]) -> list[Any]:
    return [rest(node, "GET", "/flows/f")["document"] for node in nodes]


def test_nod107_edits_on_two_nodes_outlive_a_failover(
    nodes: tuple[Daemon, Daemon], pair: Pair
) -> None:
    with join(nodes[0], "ada") as ada, join(nodes[1], "bob") as bob:
        writers = [Writer(ada, "ada"), Writer(bob, "bob")]
        for _ in range(5):
            for writer in writers:
                writer.write()
        pair.wait_for_standby()
        pair.primary.kill()
        pair.standby.promote()
        for _ in range(5):
            for writer in writers:
                writer.write()
        for node in nodes:
            eventually(lambda node=node: metric(node, "helix_broker_up") == 1, "it is back")  # type: ignore[misc]
        for writer in writers:
            writer.write()
    eventually(lambda: len({str(one) for one in documents(nodes)}) == 1, "they are the same")
    rows = pair.standby.execute("SELECT version, patch FROM helix_entries ORDER BY version")
    logged = dict(rows)
    assert len({patch for _, patch in rows}) == len(rows) == 23  # with the one that made the flow
    for writer in writers:
        assert len(writer.acknowledged) == 11
        for op_id, version in writer.acknowledged.items():
            assert f'"{writer.client_id} {op_id}"' in logged[version]


def test_nod108_what_a_standby_lacks_is_gone_for_both_nodes_alike(
    nodes: tuple[Daemon, Daemon], pair: Pair
) -> None:
    """An asynchronous standby: the log goes on under one new epoch."""
    with join(nodes[0], "ada") as ada, join(nodes[1], "bob") as bob:
        writers = [Writer(ada, "ada"), Writer(bob, "bob")]
        for writer in writers:
            writer.write()
        pair.wait_for_standby()
        pair.part()
        for writer in writers:
            writer.write()  # the standby won't have these
        eventually(lambda: len({str(one) for one in documents(nodes)}) == 1, "both have all")
        pair.primary.kill()
        pair.standby.promote()
        for _ in range(3):
            for writer in writers:
                writer.write()
        eventually(lambda: len({str(one) for one in documents(nodes)}) == 1, "they are the same")
    ((version,),) = pair.standby.execute("SELECT version FROM helix_flows")
    rows = pair.standby.execute("SELECT version, patch FROM helix_entries ORDER BY version")
    assert [number for number, _ in rows] == list(range(1, version + 1))
    logged = dict(rows)
    for writer in writers:
        for op_id in (1, 3, 4, 5):
            assert f'"{writer.client_id} {op_id}"' in logged[writer.acknowledged[op_id]]
        assert not any(f'"{writer.client_id} 2"' in patch for patch in logged.values())
    assert any("The store went back in time" in node.log for node in nodes)
