"""WebSockets that are read straight from the poller, by a reactor that is turned by hand."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from twisted.internet.epollreactor import EPollReactor

from helix.channels.connection import Connection
from helix.telemetry.poller import BoundedPoller, bound_turns, turns_of
from tests.support.logs import Log, logged
from tests.support.rawsocket import TEXT, build_frame, split_frames
from tests.support.stack import Stack

__all__ = ["logged"]

TURNS = 20
"""More than anything here takes."""

UPGRADE = (
    b"GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)


class Served:
    """A server on a port of its own, and the client that is connected to it."""

    def __init__(self) -> None:
        self.stack = Stack()
        self.reactor = EPollReactor()
        bound_turns(self.reactor)
        self.port = self.reactor.listenTCP(0, self.stack.site, interface="127.0.0.1")
        self.client = socket.create_connection(("127.0.0.1", self.port.getHost().port))
        self.client.setblocking(False)
        self.client.sendall(UPGRADE)
        assert self.turn().startswith(b"HTTP/1.1 101")

    @property
    def poller(self) -> BoundedPoller:
        poller = turns_of(self.reactor)
        assert poller is not None
        return poller

    def turn(self) -> bytes:
        """Turn the reactor, and give what the client is sent."""
        taken = b""
        for _ in range(TURNS):
            self.reactor.runUntilCurrent()
            self.reactor.doIteration(0.001)
            with suppress(OSError):
                taken += self.client.recv(1 << 16)
        return taken

    def heartbeat(self) -> Any:
        """Send a heartbeat, and give the answer."""
        self.client.sendall(build_frame(TEXT, b'[null,"1","phoenix","heartbeat",{}]'))
        frames, _ = split_frames(self.turn())
        return [json.loads(payload) for _, payload in frames]

    def end(self) -> None:
        self.client.close()
        self.turn()
        self.port.stopListening()
        self.turn()
        self.reactor.removeAll()
        self.stack.stop()


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.end()


def test_cha1_open_websocket_is_read_without_the_reactor(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def left_to_the_reactor(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(served.reactor, "_doReadOrWrite", left_to_the_reactor)
    ok = {"status": "ok", "response": {}}
    assert served.heartbeat() == [[None, "1", "phoenix", "phx_reply", ok]]


def test_con6_client_that_goes_is_noticed_and_its_descriptor_forgotten(served: Served) -> None:
    assert len(served.stack.clients) == 1
    assert len(served.poller._readers) == 1
    served.client.close()
    served.turn()
    assert len(served.stack.clients) == 0
    assert not served.poller._readers


def test_frm7_fault_in_what_reads_ends_that_connection_alone(
    served: Served, logged: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(_: Connection) -> float:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Connection, "begin", begin)
    assert served.heartbeat() == []
    assert len(served.stack.clients) == 0
    assert not served.poller._readers
    assert [event["log_failure"].type for event in logged.failures] == [RuntimeError]
    logged.events.clear()
