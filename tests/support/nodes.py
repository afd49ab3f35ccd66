"""Daemons that are nodes on one store, and members of a flow on them."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from functools import partial
from typing import Any

from tests.support.daemon import Daemon
from tests.support.rawsocket import RawWebSocket
from tests.support.watched import eventually, metric

TOPIC = "flow:f"


def wait_until_heard(nodes: Sequence[Daemon]) -> None:
    """Wait until the broker of each node is up."""
    for node in nodes:
        eventually(partial(_measures, node, "helix_broker_up", 1), "it hears others")


def wait_until_known(nodes: Sequence[Daemon]) -> None:
    """Wait until each node knows of all."""
    for node in nodes:
        eventually(partial(_measures, node, "helix_nodes", len(nodes)), "it knows of the others")


def _measures(node: Daemon, name: str, value: float) -> bool:
    return metric(node, name) == value


def join(node: Daemon | socket.socket, client_id: str, flow_id: str = "f") -> RawWebSocket:
    """
    A member in document mode.

    :param node: or a connection to it.
    """
    member = RawWebSocket(node.port if isinstance(node, Daemon) else node)
    params = {"mode": "document", "client_id": client_id}
    try:
        reply: Any = member.ask(f"flow:{flow_id}", "phx_join", params)
        assert reply[4]["status"] == "ok", reply
    except BaseException:
        member.close()
        raise
    return member


def read_title(member: RawWebSocket) -> str:
    """Wait for the next title that another writer gives."""
    while True:
        message: Any = member.read_json()
        if message[3] == "entries":
            return str(message[4]["entries"][-1]["patch"]["title"])
