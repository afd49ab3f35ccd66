"""How late the reactor is: what the watchdog sees of what blocks it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socket import IPPROTO_TCP, TCP_NOTSENT_LOWAT, create_connection, socketpair
from time import monotonic, sleep

import pytest
from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.tcp import Port

from helix.endpoints import complete
from helix.listening import BACKLOG, ListenService
from helix.telemetry.events import Telemetry, Values
from helix.telemetry.metrics import Metrics
from helix.telemetry.poller import (
    MAX_ACCEPTS,
    MAX_EVENTS,
    MAX_SECONDS,
    MAX_UNSENT_BYTES,
    bound_turns,
    turns_of,
)
from helix.telemetry.watchdog import INTERVAL, LOOKS_OF_A_REST, WINDOW, WatchdogService
from tests.support.world import World


class Watched:
    """A watchdog on a reactor that can be blocked, and the metrics that it feeds."""

    def __init__(self) -> None:
        self.clock = Clock()
        telemetry = Telemetry()
        self._metrics = Metrics(telemetry)
        self._set = 0.0
        self.watchdog = WatchdogService(
            self.clock, telemetry, lambda: self.clock.seconds() - self._set
        )
        self.watchdog.startService()

    def run(self, seconds: float) -> None:
        """Time passes, and the reactor turns."""
        self.clock.pump([INTERVAL / 4] * round(seconds / INTERVAL * 4))

    def block(self, seconds: float) -> None:
        """Something doesn't return for so long, right after a look."""
        self.clock.rightNow += seconds
        self.clock.advance(0)

    def set_clock(self, seconds: float) -> None:
        """The machine's clock is set forward."""
        self._set += seconds
        self.clock.advance(seconds)

    def sample(self, name: str) -> float:
        text = self._metrics.exposition().decode()
        found = re.search(rf"^helix_reactor_lag_{re.escape(name)} (\S+)$", text, re.MULTILINE)
        assert found, text
        return float(found[1])


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.watchdog.stopService()
    assert not watched.clock.getDelayedCalls()


def test_ops10_reactor_that_turns_does_not_lag(watched: Watched) -> None:
    watched.run(1)
    assert 80 <= watched.sample("seconds_count") <= 100
    assert watched.sample('seconds_bucket{le="0.005"}') == watched.sample("seconds_count")
    assert watched.sample("max_seconds") < INTERVAL / 2


def test_ops10_what_blocks_the_reactor_is_counted(watched: Watched) -> None:
    watched.run(1)
    before = watched.sample("seconds_count")
    watched.block(0.3)
    assert watched.sample("seconds_count") == before + 1
    assert watched.sample('seconds_bucket{le="0.25"}') == before
    assert watched.sample('seconds_bucket{le="0.5"}') == before + 1
    assert 0.3 - INTERVAL <= watched.sample("max_seconds") <= 0.3


def test_ops10_largest_lag_is_that_of_the_last_two_windows(watched: Watched) -> None:
    watched.block(0.3)
    watched.run(WINDOW)
    watched.block(0.1)
    assert watched.sample("max_seconds") >= 0.29
    watched.run(WINDOW)
    assert 0.09 <= watched.sample("max_seconds") <= 0.1
    watched.run(WINDOW)
    assert watched.sample("max_seconds") < INTERVAL


def test_ops10_clock_that_is_set_is_no_lag(watched: Watched) -> None:
    watched.run(1)
    watched.set_clock(3600)
    watched.run(1)
    assert watched.sample("max_seconds") < INTERVAL


class Idle:
    """A daemon's reactor with its watchdog and nothing else to do, and what it tells."""

    def __init__(self) -> None:
        self.reactor = EPollReactor()
        bound_turns(self.reactor)
        turns = turns_of(self.reactor)
        assert turns is not None
        self.turns = turns
        self.lags: list[float] = []
        telemetry = Telemetry()
        telemetry.subscribe("helix.reactor.turned", self._turned)
        self.watchdog = WatchdogService(self.reactor, telemetry, turns=turns)
        self.watchdog.startService()

    def _turned(self, _: str, measurements: Values, __: Values) -> None:
        lag = measurements["lag"]
        assert isinstance(lag, float)
        self.lags.append(lag)

    def run(self, seconds: float) -> int:
        """:return: in how many turns."""
        before, end = self.turns.turns, monotonic() + seconds
        while monotonic() < end:
            self.reactor.runUntilCurrent()
            self.reactor.doIteration(self.reactor.timeout())
        return self.turns.turns - before


@pytest.fixture
def idle() -> Iterator[Idle]:
    idle = Idle()
    idle.run(0.1)
    idle.lags.clear()
    yield idle
    idle.watchdog.stopService()
    idle.reactor.removeAll()


def test_ops10_reactor_with_nothing_to_do_is_looked_at_seldom(idle: Idle) -> None:
    began = monotonic()
    assert idle.run(1) < 20
    due = (monotonic() - began) / INTERVAL
    assert due / 2 < len(idle.lags) <= due + LOOKS_OF_A_REST, "the looks left out are counted"


def test_ops10_what_blocks_a_reactor_that_rested_is_counted(idle: Idle) -> None:
    """Wherever it begins and ends between two looks."""
    for wait in (0.01, 0.03, 0.05, 0.07, 0.09):
        idle.lags.clear()
        idle.reactor.callLater(wait, sleep, 0.04)
        idle.run(0.25)
        assert max(idle.lags) >= 0.04 - INTERVAL, wait


def test_ops10_reactor_that_has_something_to_do_is_looked_at_often(idle: Idle) -> None:
    def turn() -> None:
        idle.reactor.callLater(0.002, turn)

    turn()
    idle.run(0.2)
    idle.lags.clear()
    began = monotonic()
    idle.run(0.5)
    measured = sum(lag > 0 for lag in idle.lags)
    assert measured > (monotonic() - began) / INTERVAL / 4


@contextmanager
def ready_sockets(count: int, read: Callable[[int], None]) -> Iterator[EPollReactor]:
    """A reactor of Twisted's own, and sockets that are ready always: ``read`` is told which."""
    reactor = EPollReactor()
    bound_turns(reactor)
    bound_turns(reactor)  # which a second server in the process does

    class Ready(FileDescriptor):
        def doRead(self) -> None:
            read(self.fileno())

    pairs = [socketpair() for _ in range(count)]
    for ours, theirs in pairs:
        theirs.send(b"x")
        ready = Ready(reactor)
        ready.fileno = ours.fileno  # type: ignore[method-assign]
        reactor.addReader(ready)
    yield reactor
    reactor.removeAll()
    for pair in pairs:
        for end in pair:
            end.close()


def test_ops12_reactor_looks_at_its_timers_after_a_few_descriptors() -> None:
    served: list[int] = []
    with ready_sockets(100, served.append) as reactor:
        for turns in range(1, 8):
            reactor.doIteration(0)
            assert len(served) <= turns * MAX_EVENTS
    assert len(set(served)) == 100, "each has its turn"


def test_ops12_reactor_looks_at_its_timers_after_a_little_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is ready beyond that has its turn later, however long each takes."""
    now = 0.0
    served: list[int] = []

    def read(descriptor: int) -> None:
        nonlocal now
        now += MAX_SECONDS * 0.4
        served.append(descriptor)

    monkeypatch.setattr("helix.telemetry.poller.perf_counter", lambda: now)
    with ready_sockets(12, read) as reactor:
        for turns in range(1, 5):
            reactor.doIteration(0)
            assert len(served) == turns * 3
    assert len(set(served)) == 12, "each has its turn"


def test_ops12_port_accepts_a_few_in_a_turn() -> None:
    accepted: list[object] = []

    class Counting(Factory):
        def buildProtocol(self, addr: object) -> None:
            accepted.append(addr)

    reactor = EPollReactor()
    listener = ListenService(reactor, "tcp:0:interface=127.0.0.1", Counting())  # type: ignore[arg-type]
    listener.privilegedStartService()
    assert listener.port is not None
    address = listener.port.getHost()
    clients = [create_connection((address.host, address.port)) for _ in range(50)]
    for turns in range(1, 4):
        reactor.doIteration(0)
        assert len(accepted) == min(turns * MAX_ACCEPTS, 50)
    listener.stopService()
    reactor.runUntilCurrent()
    reactor.removeAll()
    for client in clients:
        client.close()


def test_slo10_the_kernel_takes_little_that_is_not_on_its_way() -> None:
    reactor = EPollReactor()
    listener = ListenService(reactor, "tcp:0:interface=127.0.0.1", Factory())
    listener.privilegedStartService()
    assert isinstance(listener.port, Port)
    listener.port.socket.setblocking(True)
    address = listener.port.getHost()
    with create_connection((address.host, address.port)), listener.port.socket.accept()[0] as ours:
        assert ours.getsockopt(IPPROTO_TCP, TCP_NOTSENT_LOWAT) == MAX_UNSENT_BYTES
    listener.stopService()
    reactor.runUntilCurrent()
    reactor.removeAll()


@pytest.mark.parametrize(
    ("description", "opened"),
    [
        ("tcp:4000", "tcp:4000:backlog=4096"),
        ("tcp:4000:interface=127.0.0.1", "tcp:4000:interface=127.0.0.1:backlog=4096"),
        ("unix:helix.sock", "unix:helix.sock:backlog=4096:mode=660:lockfile=0"),
        ("tcp:4000:backlog=7", "tcp:4000:backlog=7"),
        ("systemd:domain=INET:index=0", "systemd:domain=INET:index=0"),
    ],
)
def test_ops12_many_connects_may_wait(description: str, opened: str) -> None:
    assert complete(description, BACKLOG) == opened


def test_ops11_clients_are_told_when_to_come_back(make_world: Callable[..., World]) -> None:
    world = make_world()
    reasons: list[str] = []
    for client in [world.client() for _ in range(2000)]:
        client.answers_close = True
        close = client.close
        client.close = lambda code, reason, close=close: (  # type: ignore[method-assign]
            reasons.append(reason),
            close(code, reason),
        )
    drained = Deferred.fromCoroutine(world.registry.drain())
    world.clock.pump([0.01] * 500)
    assert drained.called
    waits = [json.loads(reason)["retry_after"] for reason in reasons]
    assert len(waits) == 2000
    assert set(waits) == {3, 4, 5, 6}
    assert all(300 < waits.count(wait) < 700 for wait in set(waits))
