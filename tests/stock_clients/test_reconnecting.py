"""Stock Phoenix clients, left to themselves, survive what befalls their server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.stock_clients.phoenix import PhoenixProcess, Reply
from tests.support.daemon import Daemon

RESTART = 1012
ABNORMAL = 1006


@pytest.mark.parametrize("end", [Daemon.stop, Daemon.kill], ids=["sigterm", "sigkill"])
def test_ops4_clients_rejoin_after_a_restart(
    phoenix: PhoenixProcess,
    transport: str,
    flow_id: str,
    start_daemon: Callable[..., Daemon],
    end: Callable[[Daemon], None],
) -> None:
    """Both members are back in the flow, once each, and get each other's changes."""
    daemon = start_daemon()
    sockets = [phoenix.connect(daemon.websocket_url, transport) for _ in range(2)]
    members = [socket.joined(f"flow:{flow_id}") for socket in sockets]
    members[0].event("client_joined")

    end(daemon)
    codes = [socket.closed() for socket in sockets]
    if transport == "websocket":
        assert codes == [RESTART if end is Daemon.stop else ABNORMAL] * 2
    daemon.start()

    for member in members:
        assert member.join_reply() == Reply("ok", {})
    counts = [member.event("client_joined")["client_count"] for member in members]
    assert sorted(counts) in ([1, 2], [2, 2])
    assert members[0].push("flow_change", {"changes": "back"}).reply().status == "ok"
    for member in members:
        assert member.event("flow_update")["changes"] == "back"
        member.settle()
        assert member.events("flow_update") == []


def test_cha3_join_parameters_are_asked_for_at_each_join(
    phoenix: PhoenixProcess, transport: str, flow_id: str, start_daemon: Callable[..., Daemon]
) -> None:
    """A parameters' function can say something new at each rejoin, and the server heeds it."""
    daemon = start_daemon()
    socket = phoenix.connect(daemon.websocket_url, transport, rejoinAfterMs=50)
    channel = socket.joined(f"flow:{flow_id}")
    assert channel.params() == {}

    channel.set_params({"mode": "no such mode"})
    daemon.stop()
    daemon.start()
    assert channel.join_reply().status == "error"
    assert channel.params() == {"mode": "no such mode"}

    channel.set_params({"mode": "relay"})
    channel.event("client_joined")
    channel.settle()


def test_lpo4_client_that_slept_through_a_restart_rejoins(
    phoenix: PhoenixProcess, flow_id: str, start_daemon: Callable[..., Daemon]
) -> None:
    """
    A long-polling client whose machine slept while the server restarted comes back with a session
    that the new server never heard of: it must rejoin, not poll an empty session for ever.
    """
    daemon = start_daemon()
    topic = f"flow:{flow_id}"
    sleeper = phoenix.connect(daemon.websocket_url, "longpoll").joined(topic)
    waker = phoenix.connect(daemon.websocket_url, "websocket").joined(topic)
    sleeper.event("client_joined")

    phoenix.hold_requests()
    waker.push("flow_change", {"changes": "ends the poll"}).reply()
    sleeper.event("flow_update")
    daemon.stop()
    daemon.start()
    assert waker.join_reply() == Reply("ok", {})
    phoenix.release_requests()

    assert sleeper.join_reply() == Reply("ok", {})
    waker.push("flow_change", {"changes": "good morning"}).reply()
    assert sleeper.event("flow_update")["changes"] == "good morning"
