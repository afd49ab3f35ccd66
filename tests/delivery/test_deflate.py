"""Frames that are deflated, once for all, and messages that are inflated, within bounds. (ZIP)"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helix.delivery.broadcast import Broadcast
from helix.delivery.framing import MAX_DEFLATED, deflating, frame_deflated, frame_text
from helix.delivery.protocol import V1, V2
from tests.support.daemon import Daemon, start_daemon
from tests.support.rawsocket import CONTINUATION, TEXT, Frame, RawWebSocket

__all__ = ["start_daemon"]  # a fixture

TOPIC = "flow:f"
OVER = 2000
MAX_FRAME_BYTES = 64 * 1024
OFFER = "permessage-deflate; client_max_window_bits"
TAIL = b"\0\0\xff\xff"


def inflate(data: bytes) -> bytes:
    return zlib.decompressobj(-15).decompress(data + TAIL)


def deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return (deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)


class DeflatingWebSocket(RawWebSocket):
    """
    A client that offers to deflate.

    :ivar deflated: how many of the frames that it has read were.
    """

    def __init__(self, port: int, offer: str = OFFER) -> None:
        self.deflated = 0
        super().__init__(port, headers=[("Sec-WebSocket-Extensions", offer)])

    @property
    def agreed(self) -> str | None:
        return self.response.headers.get("sec-websocket-extensions")

    def read_frame(self) -> Frame:
        first = self.read_exactly(1)
        is_deflated = bool(first[0] & 0x40)
        self._buffer = bytes([first[0] & ~0x40]) + self._buffer
        frame = RawWebSocket.read_frame(self) if not is_deflated else self._read_deflated()
        self.deflated += is_deflated
        return frame

    def _read_deflated(self) -> Frame:
        self._buffer = b"\x82" + self._buffer[1:]  # any bytes may be in it
        return Frame(TEXT, inflate(RawWebSocket.read_frame(self).payload))

    def send_deflated(self, payload: bytes, opcode: int = TEXT, **how: object) -> None:
        self.send_frame(opcode, payload, rsv=4, **how)


@pytest.fixture
def daemon(start_daemon: Callable[..., Daemon]) -> Daemon:
    options = ["--compress-frames-over", str(OVER), "--max-frame-bytes", str(MAX_FRAME_BYTES)]
    return start_daemon("--store", "memory:", *options)


@pytest.fixture
def client(daemon: Daemon) -> Iterator[DeflatingWebSocket]:
    with DeflatingWebSocket(daemon.port) as client:
        yield client


@given(st.binary(max_size=5000), st.integers(0, 4000))
def test_zip2_frame_is_deflated_over_a_size(text: bytes, over: int) -> None:
    frame = frame_deflated(over, text)
    if len(text) <= over:
        assert frame == frame_text(text)
    else:
        assert frame[0] == 0xC1
        start = {126: 4, 127: 10}.get(frame[1], 2)
        assert inflate(frame[start:]) == text


def test_zip2_huge_frame_is_sent_as_it_is() -> None:
    assert frame_deflated(10, b"x" * MAX_DEFLATED)[0] == 0xC1
    assert frame_deflated(10, b"x" * (MAX_DEFLATED + 1)) == frame_text(b"x" * (MAX_DEFLATED + 1))


def test_zip2_broadcast_is_deflated_once() -> None:
    broadcast = Broadcast("flow_update", b'"%b"' % (b"x" * 5000))
    encodings = deflating(OVER)
    wire = (encodings[V2], TOPIC)
    assert broadcast.encoded(wire) is broadcast.encoded(wire)
    assert broadcast.encoded(wire)[0] == broadcast.encoded((encodings[V1], TOPIC))[0] == 0xC1


def test_zip2_members_of_both_kinds_get_the_same(
    daemon: Daemon, client: DeflatingWebSocket
) -> None:
    assert client.agreed is not None
    assert "client_no_context_takeover" in client.agreed
    with RawWebSocket(daemon.port) as plain, DeflatingWebSocket(daemon.port) as other:
        assert "sec-websocket-extensions" not in plain.response.headers
        members: list[RawWebSocket] = [client, plain, other]
        join_ref = client.join(TOPIC)
        for member in members[1:]:
            member.join(TOPIC)
        assert client.read_json()[3] == client.read_json()[3] == plain.read_json()[3]
        for n, size in enumerate([10, 3 * OVER, 10, 4 * OVER]):
            change = {"changes": {"n": n, "pad": "\u00e9" * size}}
            client.send_json([join_ref, str(n), TOPIC, "flow_change", change])
            for member in members:
                message: list[Any] = member.read_json()
                while message[3] != "flow_update":
                    message = member.read_json()
                assert message[4]["changes"] == change["changes"]
        assert client.deflated == other.deflated == 2


@pytest.mark.parametrize(
    ("offer", "agreed"),
    [
        ("permessage-deflate", True),
        ("permessage-deflate; server_no_context_takeover", True),
        ("permessage-deflate; server_max_window_bits=15", True),
        ("permessage-deflate; server_max_window_bits=10", False),
        ("permessage-deflate; server_max_window_bits=10, permessage-deflate", True),
        ("permessage-bzip2", False),
    ],
)
def test_zip1_what_is_agreed_upon(daemon: Daemon, offer: str, agreed: bool) -> None:
    with DeflatingWebSocket(daemon.port, offer) as client:
        assert (client.agreed is not None) == agreed
        client.assert_alive()


def test_zip1_off_by_default(start_daemon: Callable[..., Daemon]) -> None:
    with DeflatingWebSocket(start_daemon("--store", "memory:").port) as client:
        assert client.agreed is None
        client.send_deflated(deflate(b"[]"))
        assert client.read_close() == 1002


def test_zip3_deflated_messages_are_understood(client: DeflatingWebSocket) -> None:
    beat = json.dumps([None, "1", "phoenix", "heartbeat", {"pad": "x" * 30_000}]).encode()
    for _ in range(3):
        client.send_deflated(deflate(beat))
        assert client.read_json()[1] == "1"
    client.send_deflated(deflate(beat)[:20], fin=False)
    client.send_frame(CONTINUATION, deflate(beat)[20:])
    assert client.read_json()[1] == "1"
    client.assert_alive()


@pytest.mark.parametrize("parts", [1, 50])
def test_zip3_bomb_closes_with_1009(daemon: Daemon, parts: int) -> None:
    """A hundred megabytes in a hundred kilobytes, of which only as much is inflated as may be."""
    bomb = deflate(bytes(100_000_000))[: MAX_FRAME_BYTES - 1000]
    process = psutil.Process(daemon.process_id)
    size = -(-len(bomb) // parts)
    with ExitStack() as stack:
        clients = [stack.enter_context(DeflatingWebSocket(daemon.port)) for _ in range(10)]
        before = process.memory_info().rss
        for client in clients:
            client.send_deflated(bomb[:size], fin=parts == 1)
            for start in range(size, len(bomb), size):
                client.send_frame(CONTINUATION, bomb[start : start + size])
            assert client.read_frame().close_code == 1009
        assert process.memory_info().rss - before < 10_000_000


def test_zip3_what_cannot_be_inflated_closes(client: DeflatingWebSocket) -> None:
    client.send_deflated(b"\xff" * 50)
    assert client.read_close() == 1007
