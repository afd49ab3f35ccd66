"""The machine's clock is set, by much: nothing waits for it, and little believes it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.base import ReactorBase
from twisted.internet.task import Clock
from twisted.logger import formatEvent

from helix.channels.budget import ConnectionLimits
from helix.channels.clients import SILENCE_TIMEOUT, SWEEP_INTERVAL
from helix.errors import CloseCode
from helix.members.awareness import TICK
from helix.members.relay.audience import MIN_INTERVAL
from helix.telemetry.clocks import TOLERANCE, ClockWatch, keep_steady
from helix.telemetry.events import Telemetry
from helix.web.long_poll import POLL_TIMEOUT, SESSION_TIMEOUT
from tests.cli.test_cli import HELIX
from tests.limits.test_limits import beats
from tests.members.test_awareness import Member
from tests.members.test_relay_documents import Editor, adding, relay, updates
from tests.support.daemon import Daemon, start_daemon
from tests.support.logs import Log, logged
from tests.support.rawsocket import RawWebSocket
from tests.support.stack import Stack
from tests.support.watched import eventually, no_faults, rest
from tests.support.world import START, Wall, World
from tests.support.wrongclock import MachineClock

__all__ = ["logged", "start_daemon"]

FLOW = "flow:f"

HOUR = 3600.0
DAY = 86_400.0

SETTINGS = pytest.mark.parametrize("ahead", [-HOUR, -31 * DAY, 31 * DAY])


# CLK1: the reactor


class BareReactor(ReactorBase):
    """Twisted's, with nothing to wait for but its timers."""

    def installWaker(self) -> None:
        """Nobody wakes it."""


class Clocks:
    """A reactor made steady, and both of the machine's clocks."""

    def __init__(self, make_steady: bool = True) -> None:
        self.wall, self.steady = 1_700_000_000.0, 5.0
        self.reactor: Any = BareReactor()
        self.reactor.seconds = lambda: self.wall
        self.called: list[str] = []
        self.reactor.callLater(20, self.called.append, "before")
        keep_steady(self.reactor, lambda: self.steady)
        self.reactor.callLater(10, self.called.append, "after")

    def run(self, seconds: float) -> list[str]:
        """Time passes; give what was called."""
        self.wall += seconds
        self.steady += seconds
        self.reactor.runUntilCurrent()
        called, self.called[:] = self.called[:], []
        return called


@SETTINGS
def test_clk1_calls_come_when_they_would_have(ahead: float) -> None:
    clocks = Clocks()
    clocks.wall += ahead
    assert clocks.reactor.timeout() == 10
    assert clocks.run(9.5) == []
    assert clocks.run(0.5) == ["after"]
    assert clocks.reactor.timeout() == 10
    assert clocks.run(10) == ["before"], "what was asked for before keeps its time"


def test_clk1_seconds_go_on_from_where_they_were() -> None:
    clocks = Clocks()
    assert clocks.reactor.seconds() == 1_700_000_000
    keep_steady(clocks.reactor, lambda: clocks.steady)
    assert clocks.reactor.seconds() == 1_700_000_000, "twice is as well as once"
    clocks.wall += HOUR
    clocks.run(1)
    assert clocks.reactor.seconds() == 1_700_000_001


# CLK1: what waits


@SETTINGS
def test_clk1_others_are_seen_to_come_and_to_point(world: World, ahead: float) -> None:
    ada, bob = Member(world, "ada"), Member(world, "bob")
    world.settle()
    ada.point({"x": 1, "y": 1})
    world.settle()
    bob.look()
    world.wall.ahead = ahead
    ada.point({"x": 2, "y": 2})
    Member(world, "cy")
    world.settle()
    world.clock.advance(TICK)
    world.settle()
    assert len(bob.people()) == 3
    assert list(bob.cursors.values()) == [{"x": 2, "y": 2}]


@SETTINGS
def test_clk1_relay_members_see_what_is_edited(world: World, ahead: float) -> None:
    member, editor = relay(world), Editor(world, "e")
    editor.patch(1, adding("n1"))
    assert len(updates(member)) == 1
    world.wall.ahead = ahead
    editor.patch(2, adding("n2"))
    world.settle()
    world.clock.advance(MIN_INTERVAL)
    (update,) = updates(member)
    assert [one["id"] for one in update["nodes"]] == ["n1", "n2"]


@SETTINGS
def test_clk1_who_is_silent_is_closed_and_nobody_else(world: World, ahead: float) -> None:
    world.registry.startService()
    client = world.client()
    world.wall.ahead = ahead
    steps = round(SILENCE_TIMEOUT / SWEEP_INTERVAL)
    world.clock.pump([SWEEP_INTERVAL] * (steps - 1))
    assert client.close_code is None
    world.clock.pump([SWEEP_INTERVAL] * 2)
    assert client.close_code is CloseCode.SILENT


@SETTINGS
def test_clk1_idle_session_ends(make_world: Callable[..., World], ahead: float) -> None:
    world = make_world(idle_timeout=10.0)
    world.members(1)
    session = world.flow()
    world.wall.ahead = ahead
    world.clock.advance(9)
    assert world.flow() is session
    world.clock.advance(2)
    assert world.flow() is None
    ((measured, _),) = world.events("helix.session.ended")
    assert round(measured["seconds"]) == 11


@SETTINGS
def test_clk1_who_sent_too_much_may_send_again(
    make_world: Callable[..., World], ahead: float
) -> None:
    client = make_world(limits=ConnectionLimits(pushes_per_second=0.5)).client()
    assert beats(client, 6)[-1]["status"] == "error"
    client.world.wall.ahead = ahead
    assert beats(client, 1)[0]["status"] == "error"
    client.world.clock.advance(2)
    assert beats(client, 1)[0]["status"] == "ok"


@SETTINGS
def test_clk1_polls_are_answered_and_end(logged: Log, ahead: float) -> None:
    stack = Stack()
    poller = stack.poller()
    poll = poller.start_poll()
    stack.wall.ahead = ahead
    stack.clock.advance(POLL_TIMEOUT - 0.5)
    assert not poll.answers
    stack.clock.advance(0.5)
    assert poll.answer.json["status"] == 204
    stack.clock.advance(SESSION_TIMEOUT)
    assert len(stack.clients) == 0


# CLK2: what is told


def test_clk2_times_are_those_of_the_wall_clock(world: World) -> None:
    member, editor = relay(world), Editor(world, "e")
    began = int(world.clock.seconds())
    world.wall.ahead = HOUR
    editor.patch(1, adding("n1"))
    editor.look()
    world.settle()
    world.wall.ahead = -HOUR
    editor.patch(2, adding("n2"))
    editor.look()
    first, second = (entry["at"] for entry in editor.entries)
    assert began + HOUR <= first < began + HOUR + 2
    assert began - HOUR <= second < began - HOUR + 2
    world.clock.advance(MIN_INTERVAL)
    world.settle()
    told = [body["timestamp"] for event, body in member.events() if event == "flow_update"]
    assert [round(at - START, -2) for at in told] == [HOUR, -HOUR]
    session = world.flow()
    assert session.started_at == START
    assert began - HOUR <= session.last_activity < began - HOUR + 2
    assert session.log.head.updated_at == second


# CLK3: that it was set is told


class Watched:
    """A watch over a clock that the test sets, and what it tells."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.wall = Wall(self.clock)
        self.told: list[object] = []
        telemetry = Telemetry()
        telemetry.subscribe("helix.clock.set", lambda _, values, __: self.told.append({**values}))
        self.watch = ClockWatch(self.clock, self.wall, telemetry, DAY)
        self.watch.startService()


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.watch.stopService()
    assert not watched.clock.getDelayedCalls()


@pytest.mark.parametrize("ahead", [-HOUR, 31 * DAY, TOLERANCE + 1])
def test_clk3_setting_is_noticed_once(watched: Watched, logged: Log, ahead: float) -> None:
    watched.clock.advance(100)
    watched.wall.ahead = ahead
    watched.clock.pump([1.0] * 60)
    assert watched.told == [{"seconds": ahead}]
    (warning,) = (event for event in logged.events if event["log_level"].name == "warn")
    assert formatEvent(warning) == f"The wall clock was set by {ahead:+.0f} s"
    watched.wall.ahead = 0
    watched.clock.advance(1)
    assert watched.told == [{"seconds": ahead}, {"seconds": -ahead}]


def test_clk3_small_corrections_are_nothing_until_they_add_up(watched: Watched) -> None:
    for _ in range(20):
        watched.wall.ahead += 1
        watched.clock.advance(1)
    assert watched.told == [{"seconds": TOLERANCE + 1}]


# the daemon, in a process whose clock is set


@pytest.fixture
def machine(tmp_path: Path) -> MachineClock:
    return MachineClock(tmp_path / "ahead")


def join(daemon: Daemon, client_id: str) -> RawWebSocket:
    """A client in document mode; what it does next is told with its reference 1."""
    client = RawWebSocket(daemon.port)
    params = {"mode": "document", "client_id": client_id}
    client.send_json(["1", "1", FLOW, "phx_join", params])
    reply: Any = client.read_until_reply("1")[-1]
    assert reply[4]["status"] == "ok", reply
    return client


def read_until(client: RawWebSocket, event: str, fits: Callable[[Any], bool]) -> Any:
    """Read up to a message, whose payload it gives; each read is bounded."""
    for _ in range(1000):
        message: Any = client.read_json()
        if message[3] == event and fits(message[4]):
            return message[4]
    raise AssertionError(f"{event} did not come")


@SETTINGS
def test_clk1_daemon_goes_on_however_the_clock_is_set(
    start_daemon: Callable[..., Daemon], machine: MachineClock, ahead: float
) -> None:
    daemon = start_daemon("--session-idle-timeout", "5", before=machine.command)
    with no_faults(daemon):
        ada, bob, member = join(daemon, "ada"), join(daemon, "bob"), RawWebSocket(daemon.port)
        member.join(FLOW)
        ada.send_json(["1", "2", FLOW, "patch", {"op_id": 1, "patch": adding("n1")}])
        read_until(member, "flow_update", lambda told: len(told["changes"]["nodes"]) == 1)
        ada.send_json(["1", None, FLOW, "cursor", {"x": 1, "y": 1}])
        read_until(bob, "cursors", lambda told: {"x": 1, "y": 1} in told.values())

        machine.set(ahead)
        ada.send_json(["1", None, FLOW, "cursor", {"x": 2, "y": 2}])
        ada.send_json(["1", "3", FLOW, "patch", {"op_id": 2, "patch": adding("n2")}])
        told = read_until(member, "flow_update", lambda told: len(told["changes"]["nodes"]) == 2)
        assert abs(told["timestamp"] - time.time() - ahead) < 60
        read_until(bob, "cursors", lambda told: {"x": 2, "y": 2} in told.values())
        cy = join(daemon, "cy")  # who came and went at once would not be told of
        read_until(bob, "presence_diff", lambda told: bool(told["joins"]))
        cy.close()
        (_, entry) = rest(daemon, "GET", "/flows/f/entries")["entries"]
        assert abs(entry["at"] - time.time() - ahead) < 60
        eventually(lambda: daemon.metric("helix_clock_sets_total") == 1, "the setting is counted")
        assert f"The wall clock was set by {ahead:+.0f} s" in daemon.log

        read_until(member, "phx_error", lambda _: True)  # the end of an idle session
        member.assert_alive()
        for client in (ada, bob, member):
            client.close()


def test_clk1_commands_go_on_however_the_clock_is_set(
    start_daemon: Callable[..., Daemon], machine: MachineClock, tmp_path: Path
) -> None:
    """Its server goes away and comes back: ``helix tail`` has to wait before it tries again."""
    daemon = start_daemon()
    rest(daemon, "POST", "/flows", {"id": "f", "document": {"title": "a"}})
    shown = [tmp_path / "out", tmp_path / "err"]
    with shown[0].open("wb") as out, shown[1].open("wb") as err:
        tail = subprocess.Popen(
            [*machine.command, HELIX, "tail", "f"],
            env={**os.environ, "HELIX_SERVER": f"http://{daemon.address}"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
    try:
        eventually(lambda: shown[1].read_text() != "", "the tail has joined")
        daemon.kill()
        eventually(lambda: "Not connected" in shown[1].read_text(), "the outage is told")
        machine.set(-HOUR)
        daemon.start()
        eventually(lambda: "Connected." in shown[1].read_text(), "the tail is back", 60)
    finally:
        tail.kill()
        tail.wait()
