"""What clients leave behind in the process when they are gone: nothing."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from random import Random
from time import time
from typing import Any

import attrs
import pytest
from pytest_twisted import async_yield_fixture, ensureDeferred
from twisted.internet import reactor as _reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.web.http import HTTPChannel, Request

from helix.channels.connection import Connection
from helix.channels.document import DocumentChannel
from helix.channels.relay import RelayChannel
from helix.config import read_config
from helix.delivery.fanout import Fanout
from helix.delivery.outlet import Outlet
from helix.flows.session import FlowSession
from helix.log.live_log import LiveLog
from helix.web.admission import Admitted
from helix.web.long_poll import PollingClient
from helix.web.websocket import SocketProtocol
from helix.wiring import Server, build_server
from tests.support.logs import logged
from tests.support.rawsocket import CLOSE, RawConnection, RawWebSocket, upgrade_request
from tests.support.stack import Stack
from tests.support.world import open_memory_store

__all__ = ["logged"]

reactor: Any = _reactor

KINDS = (
    Admitted,
    Connection,
    Fanout,
    DocumentChannel,
    RelayChannel,
    LiveLog,
    FlowSession,
    HTTPChannel,
    Outlet,
    PollingClient,
    Request,
    SocketProtocol,
)

OURS = ("helix", "autobahn", "twisted.web")


def alive(*, collected: bool = True) -> Counter[str]:
    """
    How many objects there are of each of `KINDS`.

    :param collected: without those that only Python's collector would find to be garbage.
    """
    if collected:
        gc.collect()
    # The type, for to ask a weak reference whose object is gone is an error.
    kinds = map(type, gc.get_objects())
    return Counter(kind.__name__ for kind in kinds if issubclass(kind, KINDS))


def delayed_calls() -> list[str]:
    """What the reactor is to call for us, but for the clock of Twisted's site."""
    named = [
        f"{getattr(call.func, '__module__', '')}.{getattr(call.func, '__qualname__', call.func)}"
        for call in reactor.getDelayedCalls()
    ]
    return [name for name in named if name.startswith(OURS) and "_updateLogDateTime" not in name]


@attrs.frozen
class Running:
    """A server on a port of this process."""

    server: Server
    port: int


@async_yield_fixture
async def running() -> Any:
    """A server, of which only the watch over the clients has a timer."""
    server = build_server(read_config({}, {}), reactor, time, Random(1), open_memory_store())
    port = reactor.listenTCP(0, server.site, interface="127.0.0.1")
    yield Running(server, port.getHost().port)
    await port.stopListening()
    await server.clients.drain()


async def assert_none_is_left(server: Server, look: Callable[[], list[Any]]) -> None:
    """Wait until no client is left, nor what ``look`` finds; fail after 10 s."""
    left: list[Any] = []
    for _ in range(200):
        await deferLater(reactor, 0.05)
        left = look()
        if not len(server.clients) and not any(left):
            return
    raise AssertionError(f"{len(server.clients)} clients are left, and {left}")


async def assert_nothing_is_left(server: Server, before: Counter[str]) -> None:
    """Wait until all is as it was ``before``; fail after 10 s."""
    await assert_none_is_left(
        server,
        lambda: [list(server.sessions.sessions()), delayed_calls(), alive() - before],
    )


def join_all(port: int, count: int) -> list[RawWebSocket]:
    """Clients that joined two flows each, the second of them alone."""
    sockets = [RawWebSocket(port) for _ in range(count)]
    for number, one in enumerate(sockets):
        one.ask("flow:shared", "phx_join")
        one.ask(f"flow:own{number}", "phx_join")
        one.ask(f"flow:own{number}", "flow_change", {"changes": number})
    return sockets


def close(one: RawWebSocket) -> None:
    """Close in order."""
    one.send_frame(CLOSE, b"\x03\xe9")
    one.read_close()


def leave_and_close(one: RawWebSocket) -> None:
    """Leave the channels first."""
    one.ask("flow:shared", "phx_leave")
    close(one)


@pytest.mark.parametrize(
    "go",
    [leave_and_close, close, RawWebSocket.close, RawWebSocket.reset],
    ids=["leave", "close", "hang up", "reset"],
)
@ensureDeferred
async def test_ses4_ses7_300_clients_come_and_go(running: Running, logged: object, go: Any) -> None:
    before = alive()
    assert delayed_calls() == []

    def come_and_go() -> None:
        sockets = join_all(running.port, 300)
        for one in sockets:
            go(one)
            one.close()

    await deferToThread(come_and_go)
    await assert_nothing_is_left(running.server, before)


@ensureDeferred
async def test_ses4_ses7_who_is_gone_does_not_wait_for_the_collector(
    running: Running, logged: object
) -> None:
    before = alive()

    def come_and_go() -> None:
        sockets = join_all(running.port, 30)
        for number, one in enumerate(sockets):
            params = {"mode": "document", "client_id": f"c{number}"}
            one.ask(f"flow:document{number % 3}", "phx_join", params)
        for one in sockets:
            one.reset()

    gc.disable()
    try:
        await deferToThread(come_and_go)
        await assert_none_is_left(running.server, lambda: [alive(collected=False) - before])
    finally:
        gc.enable()


@ensureDeferred
async def test_ses4_who_never_got_in_leaves_nothing(running: Running, logged: object) -> None:
    before = alive()
    complete = [
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        upgrade_request("/socket/websocket?vsn=9"),
        upgrade_request(headers=[("Origin", "http://evil.test")]),
        upgrade_request(),
    ]
    cut_off = [
        b"POST /api/flows/a/sync HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
        b"GET /socket/web",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ]
    requests = complete + cut_off

    def come_and_go() -> None:
        for number in range(210):
            request = requests[number % len(requests)]
            connection = RawConnection(running.port)
            connection.send(request)
            if number % 2 and request in complete:
                connection.read_response()
            if number % 3:
                connection.reset()
            else:
                connection.close()

    await deferToThread(come_and_go)
    await assert_nothing_is_left(running.server, before)


@ensureDeferred
async def test_ses7_who_stops_reading_leaves_nothing(running: Running, logged: object) -> None:
    """Also with frames that wait for it, and Deferreds for them."""
    before = alive()

    def come_and_go() -> None:
        writer = RawWebSocket(running.port)
        join_ref = writer.join("flow:full")
        readers = [RawWebSocket(running.port, receive_buffer=4096) for _ in range(3)]
        for reader in readers:
            reader.join("flow:full")
        for n in range(16):
            push = [join_ref, f"{n}", "flow:full", "flow_change", {"changes": "x" * 700_000}]
            writer.send_json(push)
            writer.read_until_reply(f"{n}")
        for one in (*readers, writer):
            one.reset()

    await deferToThread(come_and_go)
    await assert_nothing_is_left(running.server, before)


def test_lpo7_300_pollers_come_and_go(logged: object) -> None:
    stack = Stack()
    before = alive()
    timers = len(stack.clock.getDelayedCalls())

    def come_and_go() -> None:
        for number in range(300):
            poller = stack.member(f"f{number % 9}")
            poll = poller.start_poll()
            poller.push("flow:x", "phx_join")
            if number % 2:
                poll.lose()

    come_and_go()
    stack.clock.pump([1.0] * 120)  # an idle connection of HTTP lives for a minute
    assert len(stack.clients) == 0
    assert len(stack.clock.getDelayedCalls()) == timers
    left = alive() - before
    del left["Channel"]  # of HTTP: in memory nobody tells it that its connection is gone
    assert left == Counter()


def test_lpo7_poller_that_is_gone_does_not_wait_for_the_collector(logged: object) -> None:
    stack = Stack()
    before = alive()
    gc.disable()
    try:
        for number in range(9):
            stack.member(f"f{number}").start_poll()
        stack.clock.pump([1.0] * 120)
        left = alive(collected=False) - before
    finally:
        gc.enable()
    assert len(stack.clients) == 0
    for kind in (PollingClient, Connection, RelayChannel, FlowSession):
        assert left[kind.__name__] == 0, left
