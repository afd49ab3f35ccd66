"""
A server full of people, from one seed, on which everything that can go wrong does.

Hundreds of clients of both modes, in several flows: they join, edit, point, show themselves, stop
reading, read a little, join again, leave in order or without a word, and come back; their pages
die, and others send what those had not sent; some send in no order, forget how far they had come,
or call themselves what others are called. Of the store what is asked waits, fails, or happens
without anybody being told, and what it had is lost; sessions crash, are ended by force, or idle;
the clock jumps; the server drains or dies, and another one goes on. One flow is *calm*: nothing of
that is done to it, and its members must not notice what others suffer.

Time and again all come to rest, and then, beside what `tests.replicas` and `tests.guests` check all
along:

- every client has the document that its flow's log makes; what became of each edit of everybody is
  what its author was told (`tests.fates`);
- everybody sees who is connected, says what of themselves, and points where; and is told how many;
- nobody's slowness has cost more memory than the mark and what must arrive;
- the calm flow's members were answered at once, and it had no other end than that of the server;
- in the end nothing is left: no member, session, timer, or broadcast that isn't done with.

`tests.convergence` is about one flow in more depth: clients byte for byte, two nodes, deletions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from helix.edits import Submission
from helix.errors import HelixError, StoreFull, StoreUnavailable
from helix.outlet import Flow as State
from helix.session import LINGER
from tests.convergence import AskedFor, is_asked_for
from tests.crowdedflow import Flow
from tests.fates import Author
from tests.fuzzclients import FuzzClient, RelayReplica
from tests.guests import Guest
from tests.heldstore import StorePerFlow
from tests.slowwatch import SlowWatch, WatchedFanout
from tests.world import Client, World

FLOWS = 4

CALM = "f0"
"""The flow to which nothing is done."""

ACTIONS = 60
"""What happens at most within a turn."""

RESTS = 3
"""How often all come to rest."""

HEARTBEAT = 25.0
"""Seconds between two of a client's."""

IN_PEACE = {"empty", "idle", "drained"}
"""The ends that the calm flow may have."""

BOOKS = {
    "connection.opened": "connection.closed",
    "session.client_joined": "session.client_left",
    "session.started": "session.ended",
}
"""The telemetry events that come in pairs."""


class Simulation:
    """
    One run.

    :param seed: all that happens follows from it.
    :param make_world: makes a world on a store.
    :param clients: how many there are.
    """

    def __init__(self, seed: int, make_world: Callable[..., World], clients: int) -> None:
        self.random = random = Random(seed)
        self._make_world = make_world
        self._settings = {
            "high_water_mark": random.choice([1 << 20, 20_000, 3000]),
            "idle_timeout": random.choice([1800.0, 1800.0, 40.0]),
        }
        self._forgetful = random.choice([0, 0, 0.05, 0.2])
        self._store = StorePerFlow(random)
        self._worlds: list[World] = []
        self.world = self._start()
        self._dead: list[Client] = []
        self._faults: list[Failure] = []
        self._slow = SlowWatch(self._settings["high_water_mark"])
        self._unanswered: dict[Guest, set[tuple[int, str]]] = {}
        ids = [f"f{n}" for n in range(FLOWS)]
        self.flows = [Flow(flow_id, self._store.of(flow_id)) for flow_id in ids]
        for number in range(clients):
            self._add_client(number)

    @property
    def guests(self) -> list[Guest]:
        """Those in document mode."""
        return [guest for flow in self.flows for guest in flow.guests]

    @property
    def clients(self) -> list[FuzzClient]:
        """All of them."""
        return [client for flow in self.flows for client in flow.clients]

    def run(self, turns: int) -> None:
        """Let things happen, let all come to rest, and see to it that what was promised holds."""
        for rest in range(RESTS):
            for _ in range(turns // RESTS):
                self._act()
                self._turn()
            self._come_to_rest(everybody=rest == RESTS - 1)
            self._check()
        self._end()

    @property
    def told(self) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
        """The telemetry of all worlds, in order."""
        return [event for world in self._worlds for event in world.told]

    # who is there

    def _start(self) -> World:
        chance = self.random.randrange(1 << 32)  # no two servers make up the same ids
        world = self._make_world(store=self._store, seed=chance, **self._settings)
        world.registry.startService()
        self._worlds.append(world)
        self._heartbeat_at = world.clock.seconds() + HEARTBEAT
        return world

    def _add_client(self, number: int) -> None:
        flow = self.random.choice(self.flows)
        topic = f"flow:{flow.flow_id}"
        if self.random.random() < 0.2:
            flow.relays.append(RelayReplica(topic=topic))
            return
        person = f"p{number % 7}" if self.random.random() < 0.3 else None
        author = Author(f"c{number}", flow.store.truth)
        guest = Guest(topic=topic, author=author, person=person)
        guest.lingers = self.random.random() < 0.3
        if self.random.random() < 0.1:
            guest.disorder = self.random
            author.is_orderly = False
        flow.guests.append(guest)

    # what happens

    def _act(self) -> None:
        actions: Mapping[Callable[[], None], float] = {
            self._edit: 60,
            self._point: 150,
            self._show: 25,
            self._connect: 50,
            self._leave: 2,
            self._cut: 2,
            self._vanish: 1.5,
            self._rejoin: 1,
            self._stall: 4,
            self._trickle: 5,
            self._go_on: 60,
            self._store_fails: 1.5,
            self._submit: 2,
            self._crash: 0.15,
            self._meet_a_fault: 0.1,
            self._close_flow: 0.1,
            self._jump: 0.15,
            self._restart: 0.06,
            self._reload: 0.3,
            self._begin_anew: 0.1,
            self._hijack: 0.05,
            self._go_back: self._forgetful,
        }
        some = self.random.randrange(1, ACTIONS)
        for action in self.random.choices(list(actions), list(actions.values()), k=some):
            action()

    def _edit(self) -> None:
        self.random.choice(self.clients).edit(self.random)

    def _point(self) -> None:
        self.random.choice(self.guests).point(self.random)

    def _show(self) -> None:
        self.random.choice(self.guests).show(self.random)

    def _connect(self) -> None:
        client = self.random.choice(self.clients)
        if client.wire is None:
            client.connect(self.world, self.random.choice([None, None, None, None, 3000, 300]))

    def _leave(self) -> None:
        self.random.choice(self.clients).leave()

    def _cut(self) -> None:
        self.random.choice(self.clients).cut()

    def _vanish(self) -> None:
        """Go without a word: the server finds out by itself."""
        self._abandon(self.random.choice(self.clients))

    def _rejoin(self) -> None:
        client = self.random.choice(self.clients)
        if client.wire is not None:
            client.join()

    def _stall(self) -> None:
        client = self.random.choice(self.clients)
        if client.wire is not None:
            client.wire.socket.room = 0

    def _trickle(self) -> None:
        slow = [client for client in self.clients if _is_slow(client)]
        for client in self.random.sample(slow, min(3, len(slow))):
            assert client.wire is not None
            more = self.random.choice([1, 500, 5000, 50_000, None])
            client.wire.socket.room = None if more is None else client.wire.socket.room + more

    def _troubled(self) -> str:
        """The id of some flow that isn't the calm one."""
        return self.random.choice(self.flows[1:]).flow_id

    def _go_on(self) -> None:
        store = self._store.of(self._troubled())
        if store.waiting:
            store.go_on()

    def _store_fails(self) -> None:
        store = self._store.of(self._troubled())
        if self.random.random() < 0.2:
            error = self.random.choice([StoreFull, AskedFor])()
            store.fail(self.random.choice(["append", "create"]), error)
        else:
            method = self.random.choice(["append", "create", "head", "newest_op", "find", "load"])
            store.fail(method, StoreUnavailable(), happens=self.random.random() < 0.5)

    def _submit(self) -> None:
        """An edit by REST."""
        title = {"title": f"{self.random.randrange(99)}"}
        edit = Submission(lambda document, _: document.stage(title))
        self._bear(self.world.service.submit(self._troubled(), edit))

    def _crash(self) -> None:
        session = self.world.flow(self._troubled())
        if session is not None:
            session.crash(Failure(AskedFor()))

    def _meet_a_fault(self) -> None:
        """An edit turns out to be more than the server can think of."""

        def stage(_: object, dropped: object) -> Any:
            raise AskedFor

        self._bear(self.world.service.submit(self._troubled(), Submission(stage)))

    def _close_flow(self) -> None:
        flow_id = self._troubled()
        if self.world.flow(flow_id) is not None:
            self.world.service.close(flow_id)

    def _jump(self) -> None:
        self.world.clock.advance(self.random.choice([1, 5, 20, 45, 100]))

    def _restart(self) -> None:
        """Another server on the same stores; of what the old one was writing some came to be."""
        old = self.world
        if self.random.random() < 0.5:
            drained = Deferred.fromCoroutine(old.registry.drain())
            while not drained.called:
                for client in self.random.sample(self.clients, len(self.clients) // 10):
                    client.edit(self.random)
                old.clock.advance(0.05)
                old.settle()
        for client in self.clients:
            client.look()
            client.cut()
        for wire in self._dead:
            wire.cut()
        old.registry.stopService()
        old.service.stopService()
        old.clock.advance(LINGER)
        old.settle()
        self._store.die()
        self._store = StorePerFlow(self.random, self._store)
        self.world = self._start()

    def _reload(self) -> None:
        """A page is loaded anew, under another name; what it had not sent is left to a third."""
        flow = self.random.choice(self.flows)
        page = self.random.choice(flow.guests)
        self._abandon(page)
        flow.reload(page)

    def _begin_anew(self) -> None:
        """A program is started again that keeps nothing but its name."""
        program = self.random.choice(self.guests)
        self._abandon(program)
        program.forget()

    def _hijack(self) -> None:
        """Somebody calls themselves what others call somebody."""
        flow = self.random.choice(self.flows)
        victim = self.random.choice(flow.guests)
        flow.hijack(victim, self.random.choice([1, 2**53 - 10_000]))

    def _go_back(self) -> None:
        """A store has lost the newest entries of a flow."""
        flow_id = self._troubled()
        self._store.of(flow_id).go_back(flow_id, self.random.randrange(1, 9))

    def _abandon(self, client: FuzzClient) -> None:
        wire = client.abandon()
        if wire is not None:
            wire.socket.room = self.random.choice([0, 5000, None])
            self._dead.append(wire)

    # time

    def _turn(self) -> None:
        world = self.world
        if world.clock.seconds() >= self._heartbeat_at:
            self._send_heartbeats()
        world.clock.advance(self.random.choice([0, 0.005, 0.02, 0.04]))
        calm = self._store.of(CALM)
        for _ in range(3):  # what may have been sent before waits, is looked for, and is stored
            while calm.waiting:
                calm.go_on()
            world.clock.turn()
        for client in self.clients:
            if client.topic == f"flow:{CALM}" or self.random.random() < 0.5:
                client.look()
        self._dead = [wire for wire in self._dead if not wire.lost]
        self._check_calm()
        self._slow.look_at(self._dead, [c.wire for c in self.clients if c.wire is not None])

    def _send_heartbeats(self) -> None:
        self._heartbeat_at = self.world.clock.seconds() + HEARTBEAT
        for client in self.clients:
            if client.wire is not None:
                client.wire.push("phoenix", "heartbeat")

    def _come_to_rest(self, everybody: bool) -> None:
        """
        Let nothing be in anybody's way, until all that was begun is done.

        :param everybody: whether those who are away come back.
        """
        for _ in range(120):
            self._ease(everybody)
            for _ in range(5):
                self.world.clock.advance(1)
                self.world.settle()
                for client in self.clients:
                    client.look()
            self._dead = [wire for wire in self._dead if not wire.lost]
            if self._is_at_rest():
                return
        restless = [client for client in self.clients if not _is_at_rest(client)]
        raise AssertionError(f"no rest: {len(restless)} clients, such as {restless[:1]}")

    def _ease(self, everybody: bool) -> None:
        self._send_heartbeats()
        for store in self._store.stores.values():
            store.errors.clear()
            while store.waiting:
                store.go_on()
        for flow in self.flows:
            if flow.store.truth.went_back:  # which a server learns by an edit, or so
                self.world.service.refresh(flow.flow_id)
        for client in self.clients:
            if client.wire is None and everybody:
                client.connect(self.world, None)
            if client.wire is not None:
                client.wire.socket.room = None

    def _is_at_rest(self) -> bool:
        return (
            not self._dead
            and not any(store.waiting for store in self._store.stores.values())
            and all(_is_at_rest(client) for client in self.clients)
            and all(guest.version == flow.version for flow in self.flows for guest in flow.present)
        )

    # what has to hold

    def _check_calm(self) -> None:
        """Who reads, in the calm flow, is answered before the next turn is over."""
        for guest in self.flows[0].guests:
            unanswered: set[tuple[int, str]] = set()
            if guest.joined and _keeps_up(guest):
                unanswered = {(guest.visits, ref) for ref in guest.unanswered}
            assert not unanswered & self._unanswered.get(guest, set()), f"{guest} had to wait"
            self._unanswered[guest] = unanswered

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

    def _end(self) -> None:
        """All are busy, then all go, each in some way; nothing may be left behind."""
        for _ in range(2):  # so that what is told at intervals has begun to wait for the next
            for client in self.clients:
                client.edit(self.random)
            for guest in self.guests:
                guest.point(self.random)
            self._ease(everybody=False)
            self.world.settle()
        for client in self.random.sample(self.clients, len(self.clients)):
            self.random.choice([client.cut, client.leave])()
        self._ease(everybody=False)
        self.world.clock.advance(1)  # by then those who linger are gone
        self.world.settle()
        for client in self.clients:
            client.look()
        assert all(client.wire is None for client in self.clients)
        assert not list(self.world.service.sessions())
        assert len(self.world.clock.getDelayedCalls()) == 1, "more than the sweep is left"
        assert all(done.called for done in WatchedFanout.broadcasts), "a broadcast is not done"
        self._check_books()
        for world in self._worlds:
            world.end()

    def _check_books(self) -> None:
        """What began has ended."""
        for world in self._worlds:
            told = Counter(name for name, _, _ in world.told)
            for begun, ended in BOOKS.items():
                assert told[f"helix.{begun}"] == told[f"helix.{ended}"], begun

    def _bear(self, asked: Deferred[Any]) -> None:
        """What is asked may be refused."""
        asked.addErrback(lambda failure: failure.trap(HelixError)).addErrback(self._faults.append)


def _is_slow(client: FuzzClient) -> bool:
    return client.wire is not None and client.wire.socket.room is not None


def _keeps_up(client: FuzzClient) -> bool:
    """Whether nothing of it waits, neither what it is sent nor what it sent."""
    wire = client.wire
    return wire is not None and wire.outlet.state is State.CLEAR and not wire.socket.incoming


def _is_at_rest(client: FuzzClient) -> bool:
    return client.wire is None or client.is_at_rest
