"""How stock Phoenix clients connect: fallback, tokens, heartbeats."""

from __future__ import annotations

import base64
from collections.abc import Callable

from tests.stock_clients.phoenix import PhoenixProcess, Socket
from tests.support.daemon import Daemon

Connect = Callable[..., Socket]

TOKEN = "ab>secret-token"
HANDSHAKE_REFUSED = 1006
LONG_POLL_FORBIDDEN = 1008
ALIVE = {"status": "ok", "response": {}}


def test_lpo2_blocked_websocket_falls_back_to_long_polling(
    phoenix: PhoenixProcess, daemon: Daemon, flow_id: str
) -> None:
    """Where no WebSocket gets through, ``longPollFallbackMs`` leads to long polling."""
    socket = phoenix.connect(daemon.websocket_url, "blocked", longPollFallbackMs=2500)
    channel = socket.joined(f"flow:{flow_id}")
    channel.push("flow_change", {"changes": "polled"}).reply()
    assert channel.event("flow_update")["changes"] == "polled"
    look = socket.look()
    assert look["transport"] == "longpoll"
    assert look["storage"] == {"phx:fallback:LongPoll": "true"}


def test_cha1_working_websocket_is_kept(
    phoenix: PhoenixProcess, daemon: Daemon, flow_id: str
) -> None:
    """The ping by which ``longPollFallbackMs`` judges a WebSocket is answered."""
    socket = phoenix.connect(daemon.websocket_url, "websocket", longPollFallbackMs=2500)
    channel = socket.joined(f"flow:{flow_id}")
    ping = socket.frame(lambda frame: frame.topic == "phoenix")
    assert (ping.join_ref, ping.event, ping.payload) == (None, "phx_reply", ALIVE)
    channel.settle()
    look = socket.look()
    assert (look["transport"], look["storage"]) == ("websocket", {})


def test_cha1_heartbeats_are_answered(phoenix: PhoenixProcess, daemon: Daemon) -> None:
    """Beat after beat is answered in time, and the socket stays open, with no channel at all."""
    socket = phoenix.connect(daemon.websocket_url, "websocket", heartbeatIntervalMs=100)
    beats = [socket.frame(lambda frame: frame.topic == "phoenix") for _ in range(5)]
    assert [beat.payload for beat in beats] == [ALIVE] * 5
    assert len({beat.ref for beat in beats}) == 5
    assert socket.times_closed == 0


def test_con3_token_in_the_parameters(connect: Connect, flow_id: str) -> None:
    """``params: {token}`` connects, though long polling calls its session ``token``, too."""
    channel = connect(params={"token": TOKEN, "nested": {"a": ["b", None]}}).joined(
        f"flow:{flow_id}"
    )
    channel.push("flow_change", {"changes": 1}).reply()
    assert channel.event("flow_update")["changes"] == 1


def test_con4_token_beside_the_parameters(
    start_phoenix: Callable[[str], PhoenixProcess], transport: str, daemon: Daemon, flow_id: str
) -> None:
    """The ``authToken`` of 1.8, a subprotocol or a header, connects; it isn't echoed or logged."""
    as_subprotocol = base64.b64encode(TOKEN.encode()).decode().rstrip("=")
    assert "+" in as_subprotocol, "the standard alphabet is what phoenix.js writes"
    phoenix = start_phoenix("phoenix18")
    socket = phoenix.connect(daemon.websocket_url, transport, authToken=TOKEN)
    socket.joined(f"flow:{flow_id}").settle()
    if transport == "websocket":
        assert socket.look()["protocol"] == "phoenix"
    assert TOKEN not in daemon.log
    assert as_subprotocol not in daemon.log


def test_acc210_acc213_sockets_below_a_path(
    start_phoenix: Callable[[str], PhoenixProcess],
    start_daemon: Callable[..., Daemon],
    transport: str,
    flow_id: str,
) -> None:
    daemon = start_daemon("--store", "memory:", "--base-path", "/some/helix")
    url = f"ws://{daemon.address}/some/helix/socket"
    socket = start_phoenix("phoenix18").connect(url, transport)
    channel = socket.joined(f"flow:{flow_id}")
    channel.push("flow_change", {"changes": 1}).reply()
    assert channel.event("flow_update")["changes"] == 1
    assert socket.look()["transport"] == transport


def test_con2_refused_version_of_the_protocol_is_not_connected(connect: Connect) -> None:
    """A ``vsn`` that the server doesn't speak is refused before the socket opens."""
    socket = connect(vsn="3.0.0", reconnectAfterMs=60_000)
    assert socket.closed() in (HANDSHAKE_REFUSED, LONG_POLL_FORBIDDEN)
    assert socket.look()["state"] == "closed"


def test_frm3_unicode_topic_in_a_binary_push(
    start_phoenix: Callable[[str], PhoenixProcess], transport: str, daemon: Daemon, flow_id: str
) -> None:
    """1.8 writes the strings of a binary push in UTF-8, and is understood."""
    socket = start_phoenix("phoenix18").connect(daemon.websocket_url, transport)
    channel = socket.joined(f"flow:{flow_id} 日本語")
    assert channel.push("flow_change", b"\x01\x02").reply().status == "ok"
