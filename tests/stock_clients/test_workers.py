"""Stock clients of several workers, which are replaced one after another. (docs/spec.md, NOD134)"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from tests.daemon.test_workers import start_workers, workers_of
from tests.stock_clients.phoenix import Channel, PhoenixProcess
from tests.support.daemon import Daemon
from tests.support.postgres import postgres_server, url
from tests.support.watched import eventually, rest

__all__ = ["postgres_server", "start_workers", "url"]

CLIENTS = 4

PUSH_TIMEOUT = 3.0
"""Seconds after which the client gives up a push."""

START = 120.0
"""Seconds in which new workers must have taken the place of the old ones, on a busy machine."""

MADE = 10
"""Edits that each makes, at least."""

PATIENCE = 40.0
"""Seconds in which a push must be answered, once its client is back."""


def new_node(node_id: str) -> dict[str, Any]:
    return {"nodes": {node_id: {"id": node_id, "position": {"x": 0, "y": 0}, "data": {}}}}


def edit(number: int, channel: Channel, is_over: threading.Event, made: dict[str, int]) -> None:
    """
    Make a node after the other. What isn't answered is pushed again, as it was.

    :param made: is given the nodes that were acknowledged, with their versions.
    """
    while not is_over.is_set():
        step = len(made) + 1
        node_id = f"{number}-{step}"
        push = partial(channel.push, "patch", {"op_id": step, "patch": new_node(node_id)})
        while (reply := push().reply(PATIENCE)).status != "ok":
            assert reply.status == "timeout" or reply.response["retry"], reply
            time.sleep(0.1)  # a refusal for now
        made[node_id] = reply.response["version"]
        time.sleep(0.02)  # leaves the new workers some of the machine


def entries_of(daemon: Daemon, flow_id: str) -> list[Any]:
    """All entries of a flow's log."""
    entries: list[Any] = []
    while page := rest(daemon, "GET", f"/flows/{flow_id}/entries?after={len(entries)}")["entries"]:
        entries += page
    return entries


def shown_to(channel: Channel) -> tuple[int, set[str]]:
    """
    Make what a client has of all that it was sent, in order, and check that nothing was missing.

    :return: the version, and the ids of the nodes.
    """
    version, nodes = -1, set[str]()
    for kind, told in channel.told():
        if kind in ("join", "reset"):
            version, nodes = told["version"], set(told["document"]["nodes"])
        elif kind == "entries":
            for entry in told["entries"]:
                assert entry["version"] == version + 1, "an entry is missing, or came twice"
                version += 1
                nodes |= set(entry["patch"]["nodes"])
    return version, nodes


def shown_last_to(channel: Channel) -> set[str]:
    """The ids of the nodes that a client in relay mode has been sent last."""
    changes = channel.events("flow_update")[-1]["changes"]
    return {node["id"] for node in changes["nodes"]}


@pytest.mark.timeout(400)
def test_nod134_stock_clients_over_sighup(
    phoenix: PhoenixProcess,
    transport: str,
    flow_id: str,
    start_workers: Callable[..., Daemon],
) -> None:
    """All workers are replaced, while clients of both modes are there, and edit all the time."""
    daemon = start_workers()
    before = {worker.pid for worker in workers_of(daemon)}
    sockets = [
        phoenix.connect(
            daemon.websocket_url, transport, timeout=PUSH_TIMEOUT * 1000, hasFrames=False
        )
        for _ in range(CLIENTS + 1)
    ]
    editors = [
        socket.join(f"flow:{flow_id}", {"mode": "document", "client_id": f"c{number}"})
        for number, socket in enumerate(sockets[1:])
    ]
    watcher = sockets[0].join(f"flow:{flow_id}")
    eventually(lambda: all(one.told() for one in (*editors, watcher)), "all have joined")
    is_over = threading.Event()
    of_each: list[dict[str, int]] = [{} for _ in editors]
    with ThreadPoolExecutor(CLIENTS) as pool:
        editing: list[Future[None]] = [
            pool.submit(edit, number, channel, is_over, of_each[number])
            for number, channel in enumerate(editors)
        ]
        try:
            os.kill(daemon.pid, signal.SIGHUP)
            eventually(lambda: "All workers are new" in daemon.log, "all workers are new", START)
            eventually(lambda: all(socket.times_closed for socket in sockets), "all were sent away")
            eventually(lambda: min(map(len, of_each)) > MADE, "all have edited for a while", START)
        finally:
            is_over.set()
        for one in editing:
            one.result()
    made = {node: version for one in of_each for node, version in one.items()}
    assert not before & {worker.pid for worker in workers_of(daemon)}

    stored = rest(daemon, "GET", f"/flows/{flow_id}")
    log = entries_of(daemon, flow_id)
    assert {node: entry["version"] for entry in log for node in entry["patch"]["nodes"]} == made
    assert stored["version"] == len(log) == len(made)
    assert set(stored["document"]["nodes"]) == set(made)
    for channel in editors:
        channel.settle()
        assert shown_to(channel) == (stored["version"], set(made))
    eventually(lambda: shown_last_to(watcher) == set(made), "the page of the first generation, too")
