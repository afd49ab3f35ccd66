"""Stock clients of several nodes behind a proxy without sticky sessions. (docs/spec.md, NOD70)"""

from __future__ import annotations

from collections.abc import Callable

from tests.stock_clients.phoenix import PhoenixProcess
from tests.support.balancer import balancer
from tests.support.daemon import Daemon
from tests.support.nodes import wait_until_known
from tests.support.postgres import postgres_server, url
from tests.support.watched import metric

__all__ = ["postgres_server", "url"]


def test_nod70_long_polling_over_two_nodes(
    phoenix: PhoenixProcess, start_daemon: Callable[..., Daemon], url: str, flow_id: str
) -> None:
    nodes = [start_daemon("--store", url) for _ in range(2)]
    wait_until_known(nodes)
    with balancer(nodes) as port:
        socket = phoenix.connect(f"ws://127.0.0.1:{port}/socket", "longpoll")
        channel = socket.joined(f"flow:{flow_id}")
        for number in range(30):
            assert channel.push("flow_change", {"changes": number}).reply().status == "ok"
            assert channel.event("flow_update")["changes"] == number
        large = "x" * 700_000
        assert channel.push("flow_change", {"changes": large}).reply().status == "ok"
        assert channel.event("flow_update")["changes"] == large
        assert socket.times_closed == 0
        assert socket.look()["transport"] == "longpoll"
        assert sum(metric(node, "helix_connections") for node in nodes) == 1
        socket.disconnect()
