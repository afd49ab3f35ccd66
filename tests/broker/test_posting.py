"""What the brokers send, and how they send it. (docs/spec.md, NOD131, NOD132)"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
from pytest_twisted import async_yield_fixture, ensureDeferred
from twisted.internet import reactor as the_reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from helix.broker import carrier
from helix.broker.carrier import FAULT_PAUSE, SEND_SECONDS, Carrier, Heard
from helix.broker.postgresql import PostgresBroker
from helix.errors import StoreError
from helix.store.postgresql.address import Address
from helix.store.postgresql.failures import ConnectionGone, Unfit
from helix.store.postgresql.wire import Bounds, Connection
from tests.broker.test_contract import Ear, Party, until
from tests.store.proxy import Proxy
from tests.support.logs import Log
from tests.support.postgres import PostgresServer

reactor: Any = the_reactor  # a module, as far as types go

BOUNDS = Bounds(wait=1.0, answer=0.3)


@async_yield_fixture
async def connection(url: str) -> AsyncIterator[Connection]:
    connection = Connection(reactor, BOUNDS)
    await connection.open(Address.parse(url), 0)
    yield connection
    connection.discard()


# NOD131: statements that are posted


@ensureDeferred
async def test_nod131_what_fails_is_told_and_the_next_one_works(connection: Connection) -> None:
    await connection.ask("CREATE TEMPORARY TABLE posted (n int)")
    for failing in ("INSERT INTO posted VALUES (1);SELECT 1/0", "nonsense"):
        with pytest.raises(StoreError) as caught:
            await connection.post(failing)
        assert not isinstance(caught.value, ConnectionGone)
    with pytest.raises(Unfit):
        await connection.post("SELECT '\ud800'")
    assert await connection.ask("SELECT * FROM posted") == []
    await connection.post("INSERT INTO posted VALUES (1);INSERT INTO posted VALUES (2)")
    assert await connection.ask("SELECT * FROM posted") == [(1,), (2,)]


@ensureDeferred
async def test_nod131_what_is_large_is_sent_whole(connection: Connection) -> None:
    """More than goes into the socket at once."""
    connection.bounds = Bounds()
    await connection.ask("CREATE TEMPORARY TABLE posted (t text)")
    await connection.post(f"INSERT INTO posted VALUES ('{'x' * (8 << 20)}')")
    assert await connection.ask("SELECT length(t) FROM posted") == [(8 << 20,)]


@ensureDeferred
async def test_nod131_a_connection_that_is_cut_meanwhile_is_gone(
    postgres_server: PostgresServer, connection: Connection
) -> None:
    ((process,),) = await connection.ask("SELECT pg_backend_pid()")
    connection.bounds = Bounds()
    posted = Deferred.fromCoroutine(connection.post("SELECT pg_sleep(20)"))
    postgres_server.execute(f"SELECT pg_terminate_backend({process}, 5000)")
    with pytest.raises(ConnectionGone):
        await posted
    assert connection.is_gone


@ensureDeferred
async def test_nod131_one_that_is_discarded_meanwhile_tells_so(connection: Connection) -> None:
    posted = Deferred.fromCoroutine(connection.post("SELECT pg_sleep(20)"))
    connection.discard()
    with pytest.raises(ConnectionGone):
        await posted


@ensureDeferred
async def test_nod131_a_server_that_says_nothing_is_given_up(
    postgres_server: PostgresServer, url: str
) -> None:
    """One timer serves many statements: it counts from the last."""
    proxy = Proxy(reactor, postgres_server.port)
    connection = Connection(reactor, BOUNDS)
    try:
        place = url.replace(str(postgres_server.port), str(proxy.own_port))
        await connection.open(Address.parse(place), 0)
        await connection.post("SELECT 1")
        for one in list(proxy.clients):
            one.transport.pauseProducing()
        with pytest.raises(ConnectionGone):
            await connection.post("SELECT 1")
    finally:
        connection.discard()
        proxy.stop()


@pytest.mark.parametrize("standard", ["on", "off"])
@ensureDeferred
async def test_nod131_messages_arrive_as_they_were_whatever_quotes_mean(
    url: str, standard: str
) -> None:
    assert "?options=" in url
    so = f"{url}%20-cstandard_conforming_strings%3D{standard}"
    party = Party(lambda: PostgresBroker(so, reactor))
    one, _ = await party.join()
    _, ear = await party.join("a")
    messages = [rb'"it\'s a \\ and a \n"', b'"%s"', b"\"\\'\\\"''\"", '"$1 é 🦉"'.encode()]
    for message in messages:
        one.publish("a", message)
    await until(lambda: len(ear.messages) == len(messages))
    assert [message for _, message in ear.messages] == messages
    for broker in party.brokers:
        await broker.stop()


# NOD132: how often


class Wire:
    """
    A connection that carries every message back, and all that makes such.

    :ivar sent: what was sent together.
    :ivar fault: raised in place of sending.
    """

    max_bytes = 7500
    silence = "Nothing comes back"
    own_channel = "own"
    is_gone = False

    def __init__(self) -> None:
        self.gone: Deferred[None] = Deferred()
        self.sent: list[list[bytes]] = []
        self.fault: Exception | None = None
        self._heard: Heard | None = None

    def __str__(self) -> str:
        return "The wire"

    def start(self) -> None:
        pass

    async def stop(self) -> None:
        self.discard()

    async def take(self, heard: Heard) -> Wire:
        if self.is_gone:
            self.gone, self.is_gone = Deferred(), False
        self._heard = heard
        return self

    def channel(self, topic: str) -> str:
        return topic

    async def listen(self, new: Sequence[str], old: Sequence[str]) -> None:
        await succeed(None)

    async def send(self, messages: Sequence[tuple[str, bytes]]) -> None:
        if self.fault is not None:
            raise self.fault
        if messages[0][0] != self.own_channel:
            self.sent.append([message for _, message in messages])
        assert self._heard is not None
        for channel, message in messages:
            self._heard(channel, message)
        await succeed(None)

    async def leave(self) -> None:
        await succeed(None)

    def discard(self) -> None:
        if not self.is_gone:
            self.is_gone = True
            self.gone.callback(None)


class Sending:
    """A broker over a `Wire`, which is up."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.wire = Wire()
        self.broker = Carrier(self.wire, self.clock)
        self.broker.start(Ear())
        self.clock.advance(1.0)
        assert self.broker.is_up

    def publish(self, message: bytes, seconds: float = 0.0) -> None:
        """Send a message, and let time pass."""
        self.broker.publish("t", message)
        self.clock.advance(seconds)


@pytest.fixture
def sending() -> Sending:
    return Sending()


def test_nod132_messages_of_a_moment_go_together(sending: Sending) -> None:
    sending.publish(b"1")
    assert sending.wire.sent == [[b"1"]]
    part = SEND_SECONDS / 4
    for message in (b"2", b"3", b"4"):
        sending.publish(message, part)
    assert sending.wire.sent == [[b"1"]]
    sending.clock.advance(2 * part)
    assert sending.wire.sent == [[b"1"], [b"2", b"3", b"4"]]
    sending.clock.advance(SEND_SECONDS)
    sending.publish(b"5")
    assert sending.wire.sent[2:] == [[b"5"]]


def test_nod132_other_things_do_not_wait_for_that(sending: Sending) -> None:
    sending.publish(b"1")
    sending.publish(b"2")
    sending.broker.subscribe("u")
    sending.clock.advance(0)
    assert not sending.broker._subscriptions.are_behind
    assert sending.wire.sent == [[b"1"]]
    sending.clock.advance(SEND_SECONDS)
    assert sending.wire.sent == [[b"1"], [b"2"]]
    assert len(sending.clock.getDelayedCalls()) == 1  # that of the echo


def test_nod132_at_the_end_all_goes_at_once(sending: Sending) -> None:
    sending.publish(b"1")
    for number in range(carrier.AT_ONCE + 1):
        sending.publish(b"%d" % number)
    stopped = sending.broker.stop()
    sending.clock.advance(0)
    assert stopped.called
    assert len([message for some in sending.wire.sent for message in some]) == carrier.AT_ONCE + 2


# NOD11: faults


@pytest.fixture
def log() -> Iterator[Log]:
    """What is logged, faults too."""
    log = Log()
    globalLogPublisher.addObserver(log)
    yield log
    globalLogPublisher.removeObserver(log)


def test_nod11_a_fault_of_our_own_is_logged_and_ends_no_broker(sending: Sending, log: Log) -> None:
    sending.wire.fault = ZeroDivisionError()
    sending.publish(b"1")
    assert not sending.broker.is_up
    assert len(log.failures) == 1
    sending.clock.advance(FAULT_PAUSE - 0.1)
    assert len(log.failures) == 1
    sending.clock.advance(0.1)  # it is there still
    assert len(log.failures) == 2
    sending.wire.fault = None
    sending.clock.advance(FAULT_PAUSE)
    assert sending.broker.is_up
    sending.publish(b"2")
    assert sending.wire.sent == [[b"2"]]


def test_nod11_a_stop_does_not_wait_for_the_end_of_a_fault(sending: Sending, log: Log) -> None:
    sending.wire.fault = ZeroDivisionError()
    sending.publish(b"1")
    stopped = sending.broker.stop()
    assert stopped.called
    assert not sending.clock.getDelayedCalls()
    assert len(log.failures) == 1
