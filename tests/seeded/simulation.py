"""
A server full of people, from one seed, on which everything that can go wrong does.

Hundreds of clients of both modes, in several flows: they join, edit, point, show themselves, stop
reading, read a little, join again, leave in order or without a word, and come back; their pages
die, and others send what those had not sent; some send in no order, forget how far they had come,
or call themselves what others are called. Of the store what is asked waits, fails, or happens
without anybody being told, and what it had is lost; sessions crash, are ended by force, or idle;
the clock jumps; the server drains or dies, and another one goes on. One flow is *calm*: nothing of
that is done to it, and its members must not notice what others suffer.

Time and again all come to rest, and then, beside what `tests.seeded.replicas` and
`tests.seeded.guests` check all along:

- every client has the document that its flow's log makes; what became of each edit of everybody is
  what its author was told (`tests.seeded.fates`);
- everybody sees who is connected, says what of themselves, and points where; and is told how many;
- nobody's slowness has cost more memory than the mark and what must arrive;
- of those whose role changes, only what they might do was taken, and what was acknowledged is
  there (`tests.seeded.outsiders`);
- the calm flow's members were answered at once, and it had no other end than that of the server;
- in the end nothing is left: no member, session, timer, or broadcast that isn't done with.

`tests.seeded.convergence` is about one flow in more depth: clients byte for byte, deletions; and
`tests.seeded.several` is that over three nodes. This has one server, `tests.seeded.fleet` three.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from helix.delivery.outlet import Flow as State
from helix.flows.lifetime import LINGER
from tests.seeded.convergence import is_asked_for
from tests.seeded.crowd import HEARTBEAT, Crowd
from tests.seeded.fuzzclients import FuzzClient
from tests.seeded.guests import Guest
from tests.seeded.slowwatch import SlowWatch, WatchedFanout
from tests.support.world import World

CALM = "f0"
"""The flow to which nothing is done."""

RESTS = 3
"""How often all come to rest."""

IN_PEACE = {"empty", "idle", "drained"}
"""The ends that the calm flow may have."""

BOOKS = {
    "connection.opened": "connection.closed",
    "session.client_joined": "session.client_left",
    "session.started": "session.ended",
}
"""The telemetry events that come in pairs."""


class Simulation(Crowd):
    """One run; parameters as those of `Crowd`."""

    CALM_TURNS = 1

    CALM_SECONDS = 0.0
    """Who reads, in the calm flow, is answered before that many turns and seconds are over."""

    def __init__(self, seed: int, make_world: Callable[..., World], clients: int) -> None:
        super().__init__(seed, make_world, clients)
        self._slow = SlowWatch(self._settings["high_water_mark"])
        self._turns, self._turned_for = 0, 0.0
        self._unanswered: dict[Guest, dict[tuple[int, str], tuple[int, float]]] = {}

    def run(self, turns: int) -> None:
        """Let things happen, let all come to rest, and see to it that what was promised holds."""
        for rest in range(RESTS):
            for _ in range(turns // RESTS):
                self.act()
                self._turn()
            self._come_to_rest(everybody=rest == RESTS - 1)
            self._check()
        self._end()

    @property
    def told(self) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
        """The telemetry of all worlds, in order."""
        return [event for world in self._worlds for event in world.told]

    # time

    def _turn(self) -> None:
        if self._now >= self._heartbeat_at:
            self._send_heartbeats()
        seconds = self.random.choice([0, 0.005, 0.02, 0.04])
        self._pass(seconds)
        self._turns += 1
        self._turned_for += seconds
        for _ in range(3):  # what may have been sent before waits, is looked for, and is stored
            for server in self.servers:
                calm = server.store.of(CALM)
                while calm.waiting:
                    calm.go_on()
                server.world.clock.turn()
        for client in self.clients:
            if client.topic == f"flow:{CALM}" or self.random.random() < 0.5:
                client.look()
        for outsider in self.outsiders:
            outsider.look()
        self._dead = [wire for wire in self._dead if not wire.lost]
        self._check_calm()
        self._slow.look_at(self._dead, [c.wire for c in self.clients if c.wire is not None])

    def _send_heartbeats(self) -> None:
        self._heartbeat_at = self._now + HEARTBEAT
        for client in self.clients:
            if client.wire is not None:
                client.wire.push("phoenix", "heartbeat")

    def _come_to_rest(self, everybody: bool) -> None:
        """
        Let nothing be in anybody's way, until all that was begun is done.

        :param everybody: whether those who are away come back.
        """
        for outsider in self.outsiders:  # of whom the others know nothing
            outsider.look()
            outsider.cut()
        for _ in range(120):
            self._ease(everybody)
            for _ in range(5):
                self._rest()
            self._dead = [wire for wire in self._dead if not wire.lost]
            if self._is_at_rest():
                return
        restless = [client for client in self.clients if not _is_at_rest(client)]
        raise AssertionError(f"no rest: {len(restless)} clients, such as {restless[:1]}")

    def _rest(self) -> None:
        """A second passes, and whatever is due is done."""
        self._pass(1)
        self._settle()
        for client in self.clients:
            client.look()

    def _ease(self, everybody: bool) -> None:
        self._send_heartbeats()
        self._ease_stores()
        self._tell_of_loss()
        for client in self.clients:
            if client.wire is None and everybody:
                client.connect(self._server().world, None)
            if client.wire is not None:
                client.wire.socket.room = None

    def _ease_stores(self) -> None:
        for server in self.servers:
            for store in server.store.stores.values():
                store.errors.clear()
                while store.waiting:
                    store.go_on()

    def _tell_of_loss(self) -> None:
        """A lone server learns of it by an edit, or so."""
        for flow in self.flows:
            if flow.store.truth.went_back:
                self._server().world.service.refresh(flow.flow_id)

    def _is_at_rest(self) -> bool:
        return not self._dead and self._is_level()

    def _is_level(self) -> bool:
        """Whether everybody has all that there is, and waits for nothing."""
        stores = [store for server in self.servers for store in server.store.stores.values()]
        return (
            not any(store.waiting for store in stores)
            and all(_is_at_rest(client) for client in self.clients)
            and all(guest.version == flow.version for flow in self.flows for guest in flow.present)
        )

    # what has to hold

    def _check_calm(self) -> None:
        """Who reads, in the calm flow, is answered soon."""
        now = (self._turns, self._turned_for)
        for guest in self.flows[0].guests:
            waits: dict[tuple[int, str], tuple[int, float]] = {}
            if guest.joined and _keeps_up(guest):
                before = self._unanswered.get(guest, {})
                asked = [(guest.visits, ref) for ref in guest.unanswered]
                waits = {one: before.get(one, now) for one in asked}
            for turn, at in waits.values():
                turns, seconds = now[0] - turn, now[1] - at
                is_soon = turns < self.CALM_TURNS or seconds < self.CALM_SECONDS
                assert is_soon, f"{guest} had to wait for {turns} turns, {seconds} s"
            self._unanswered[guest] = waits

    def _check(self) -> None:
        for world in self._worlds:
            unforeseen = [event for event in world.failures if not is_asked_for(event)]
            assert not unforeseen, unforeseen[0]
            world.failures.clear()
            for _, about in world.events("helix.session.ended"):
                assert about["flow_id"] != CALM or about["reason"] in IN_PEACE, about
        for fault in self._faults:
            fault.raiseException()
        for flow in self.flows:
            flow.check(self._faults.append)
        for outsider in self.outsiders:
            outsider.check()

    def _end(self) -> None:
        """All are busy, then all go, each in some way; nothing may be left behind."""
        for _ in range(2):  # so that what is told at intervals has begun to wait for the next
            for client in self.clients:
                client.edit(self.random)
            for guest in self.guests:
                guest.point(self.random)
            self._ease(everybody=False)
            self._settle()
        for client in self.random.sample(self.clients, len(self.clients)):
            self.random.choice([client.cut, client.leave])()
        for _ in range(7):  # until who and what lingers is gone, too
            self._ease(everybody=False)
            self._settle()
            self._pass(LINGER / 2)
        for client in self.clients:
            client.look()
        assert all(client.wire is None for client in self.clients)
        self._check_nothing_left()
        assert all(done.called for done in WatchedFanout.broadcasts), "a broadcast is not done"
        self._check_books()
        for world in self._worlds:
            world.end()

    def _check_nothing_left(self) -> None:
        for server in self.servers:
            assert not list(server.world.service.sessions())
            assert len(server.world.clock.getDelayedCalls()) == 1, "more than the sweep is left"

    def _check_books(self) -> None:
        """What began has ended."""
        for world in self._worlds:
            told = Counter(name for name, _, _ in world.told)
            for begun, ended in BOOKS.items():
                assert told[f"helix.{begun}"] == told[f"helix.{ended}"], begun


def _keeps_up(client: FuzzClient) -> bool:
    """Whether nothing of it waits, neither what it is sent nor what it sent."""
    wire = client.wire
    if wire is None or wire.world.clock.is_stopped:
        return False
    return wire.outlet.state is State.CLEAR and not wire.socket.incoming


def _is_at_rest(client: FuzzClient) -> bool:
    return client.wire is None or client.is_at_rest
