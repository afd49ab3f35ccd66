"""
`tests.seeded.convergence` with three nodes on one store, and all that may happen to such.

Clients of both modes are on any of them, and on another one when they come back. The nodes tell
each other what they do by a broker that loses, doubles, delays and reorders, is away for all or for
one, or carries what a node says or hears only (`tests.support.badbus`). Nodes die and come back as
others, drain, and stop for longer than anybody waits, and then get everything at once (SIGSTOP);
each has a wall clock that jumps; each may lose the store, give up waiting for it, and what it gave
up comes to be later. The store forgets what it had confirmed, as a standby may that takes over.

Beside all that one server promises: when nothing is in anybody's way any more, all that is to
come comes within `Several.RESTS_WITHIN` seconds, though the broker may be as bad as before. Once
that is good, too, everybody sees within `Several.SEEN_WITHIN` seconds who is connected to whatever
node, where they point, and how many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from twisted.internet.task import Clock

from tests.seeded.convergence import Convergence, Node, Reader
from tests.seeded.fates import Author
from tests.seeded.fuzzclients import Caller, FuzzClient
from tests.seeded.guests import Guest, Traveller, wrongly_seen
from tests.seeded.nodefaults import bend, broker_of, heal, jump, stop, wake
from tests.seeded.programs import PATIENCE, Program
from tests.seeded.replicas import Replica
from tests.support.badbus import ALL_MANNERS, GOOD, BadBus
from tests.support.heldstore import LateStore
from tests.support.nodestore import NodeStore
from tests.support.world import World

NODES = 3

PACES = ((0.0, 0.01), (0.0, 0.01, 0.2, 2.0), (0.0, 0.5, 2.0, 20.0))
"""Seconds that pass now and then, in some runs and in others."""

STEP = 0.5
"""Seconds that pass at once."""


class Several(Convergence):
    """
    One run; parameters as those of `Convergence`.

    :param crowd: how many people there are besides.

    :ivar rested_after: seconds without trouble after which all was at rest.
    :ivar seen_after: seconds more, with a good broker, after which all saw who is there.
    """

    RESTS_WITHIN = 30

    SEEN_WITHIN = 26
    """Seconds with a good broker after which everybody sees who is there, on all nodes."""

    def __init__(self, seed: int, make_world: Callable[..., World], crowd: int = 0) -> None:
        self._crowd = crowd
        self.rested_after = self.seen_after = 0
        self.programs: list[Program] = []
        self.callers: list[Caller] = []
        self._words = 0
        self._clock = Clock()
        self._now = 0.0
        super().__init__(seed, make_world)
        self._forgetful *= self.random.choice([1, 3, 10])
        self._pace = self.random.choice(PACES)

    def _actions(self) -> Mapping[Callable[[], None], float]:
        return {
            **super()._actions(),
            self._flush: 80,
            self._store_answers: 100,
            self._restart: 0.6,
            self._drain: 0.4,
            self._reload: 0.5,
            self._begin_anew: 0.3,
            self._hijack: 0.2,
            self._crash: 0.5,
            self._connect: 20,
            self._stop: 1,
            self._go_on: 1,
            self._give_up: 2,
            self._lose_store: 0.5,
            self._find_store: 1,
            self._bend_bus: 1,
            self._jump: 1,
            self._call: 4,
            self._show: 4,
            self._point: 4,
        }

    @property
    def told(self) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
        """The telemetry of all nodes, in order."""
        return [event for world in self._worlds for event in world.told]

    def end(self) -> None:
        """Leave nothing behind."""
        for world in self._worlds:
            world.end()

    # who is there

    def _add_people(self) -> None:
        """As one server has, and more, so that there are several on each."""
        super()._add_people()
        self.callers = [Caller() for _ in range(len(self.relays) + self._crowd // 5)]
        self.relays = self.callers
        for _ in range(self.random.randrange(4) + self._crowd):
            self._add_replica(self._new_author())
        for _ in range(self.random.randrange(3)):
            waits = Random(self.random.random())
            self.programs.append(
                Program(author=self._new_author(), clock=self._clock, random=waits)
            )

    def _make_nodes(self) -> list[Node]:
        manners, most = self.random.choice(ALL_MANNERS), self.random.choice([7500, 7500, 1000])
        self.bus = BadBus(self.random, manners, most)
        first = self._make_node(None)
        return [first, *(self._make_node(first.store) for _ in range(NODES - 1))]

    def _make_store(self, beside: LateStore | None) -> LateStore:
        return NodeStore(self.random, beside)

    def _make_node(self, beside: LateStore | None) -> Node:
        node = super()._make_node(beside)
        node.world.clock.advance(self._now)
        return node

    def _add_replica(self, author: Author) -> Replica:
        self.replicas.append(Traveller(author=author))
        return self.replicas[-1]

    def _reload(self) -> None:
        before = len(self.replicas)
        super()._reload()
        for heir in self.guests[before:]:
            page = next(one for one in self.guests if one.author is self.authors[-1])
            heir.visits, page.visits, page.shown = page.visits, 0, {}

    def _node(self) -> Node:
        """Some node that isn't stopped."""
        return self.random.choice([one for one in self.nodes if not one.world.clock.is_stopped])

    def _place(self) -> Node:
        return self._node()

    # what happens

    def _time(self) -> None:
        self._pass(self.random.choice(self._pace))

    def _pass(self, seconds: float) -> None:
        """Time passes, for all alike."""
        self._now += seconds
        self._clock.advance(seconds)
        while seconds > 0:
            for node in self.nodes:
                node.world.clock.advance(min(seconds, STEP))
            seconds -= STEP

    def _stop(self) -> None:
        """A process stops (SIGSTOP), and time passes."""
        if sum(not one.world.clock.is_stopped for one in self.nodes) > 1:
            node = self._node()
            stop(node.world, [_store(node)])
        seconds = self.random.choice([0, 0, 2, 40])
        self._pass(seconds)
        for client in self.clients if seconds > PATIENCE else ():  # who waits no longer
            wire = client.wire
            if wire is not None and wire.world.clock.is_stopped and self.random.random() < 0.7:
                client.cut()

    def _go_on(self) -> None:
        """A process goes on, and finds that much has come, or that it was given up."""
        for node in self.nodes:
            if node.world.clock.is_stopped and self.random.random() < 0.7:
                self._wake(node)

    def _wake(self, node: Node) -> None:
        wake(self.random, node.world, [_store(node)])

    def _give_up(self) -> None:
        _store(self._node()).give_up()

    def _lose_store(self) -> None:
        _store(self.random.choice(self.nodes)).is_away = True

    def _find_store(self) -> None:
        for node in self.nodes:
            _store(node).is_away = False

    def _bend_bus(self) -> None:
        """The broker fails one node in some way, or no more."""
        bend(self.random, self._node().world)

    def _jump(self) -> None:
        """Somebody sets the clock of a machine."""
        jump(self.random, self.random.choice(self.nodes).world)

    def _call(self) -> None:
        if self.callers:
            self._words += 1
            self.random.choice(self.callers).call(f"{self._words}")

    def _show(self) -> None:
        self.random.choice(self.guests).show(self.random)

    def _point(self) -> None:
        self.random.choice(self.guests).point(self.random)

    @property
    def guests(self) -> list[Guest]:
        return [one for one in self.replicas if isinstance(one, Guest)]

    def _pass_beside(self, node: Node, seconds: float) -> None:
        self._pass(seconds)

    def _go_back(self) -> None:
        """The store forgets what some node doesn't know of yet, or as it does with one server."""
        log = self.nodes[0].store.flow("f")
        found = [one.world.flow() for one in self.nodes]
        known = [
            one.log.version for one in found if one and log and one.log.epoch == log.head.epoch
        ]
        if log is not None and known and self.random.random() < 0.5:
            self.nodes[0].store.go_back("f", max(0, log.head.version - min(known)))
        else:
            super()._go_back()

    def _replace(self, old: Node) -> None:
        """The node is gone. What it does yet to leave nothing behind here, nobody hears of."""
        broker_of(old.world).die()
        old.store.die()
        for client in self.clients:
            if client.wire is not None and client.wire.world is old.world:
                client.cut()
        if old.world.clock.is_stopped:
            old.world.clock.go_on()
        super()._replace(old)

    # the end

    def _come_to_rest(self) -> None:
        for wire in self._abandoned:
            wire.cut()
        for node in self.nodes:
            heal(self.random, node.world, [_store(node)])
        if self._forgetful and self.random.random() < 0.5:  # of which no later edit tells
            self._go_back()
            self._edit()
        super()._come_to_rest()
        self._be_seen()
        self._be_heard()

    def _be_heard(self) -> None:
        """While the broker is good, what is no edit comes to all in relay mode, once."""
        for caller in self.callers:
            caller.calls.clear()
        for caller in self.callers:
            caller.call(caller.join_ref + "!")
        for _ in range(4):
            self._pass_quietly(0.5)
        words = sorted(caller.join_ref + "!" for caller in self.callers)
        for caller in self.callers:
            assert sorted(caller.calls) == words, f"{caller.calls}, not {words}"

    def _pass_quietly(self, seconds: float) -> None:
        """Time passes, and whatever is due is done."""
        for node in self.nodes:
            node.world.clock.advance(seconds)
        for _ in range(2):
            for node in self.nodes:
                node.world.settle()
        for client in self.clients:
            client.look()

    def _be_seen(self) -> None:
        """Let nothing of what nodes tell each other be lost, until all see who is there."""
        assert isinstance(self.bus, BadBus)
        self.bus.manners = GOOD
        for node in self.nodes:
            broker_of(node.world).lose_all()
        wrong = ""
        for second in range(self.SEEN_WITHIN):
            wrong = self._wrongly_seen()
            if not wrong:
                self.seen_after = second
                return
            for guest in self.guests:
                guest.hold()
            self._pass_quietly(1)
        raise AssertionError(wrong)

    def _wrongly_seen(self) -> str:
        """Tell what is wrong with what everybody sees of who is there, and where they point."""
        wrong = wrongly_seen(self.guests, [*self.guests, *self.programs])
        if wrong:
            return wrong
        sessions = [one for one in (node.world.flow() for node in self.nodes) if one is not None]
        counts = [session.client_count_everywhere for session in sessions]
        if {*counts} - {len(self.clients)}:
            return f"nodes count {counts}, not {len(self.clients)}"
        for relay in self.relays:
            if relay.count != len(self.clients):
                return f"{relay.count} are here, not {len(self.clients)}"
        return ""

    def _ease(self) -> None:
        super()._ease()
        self._clock.advance(PATIENCE)

    @property
    def clients(self) -> list[FuzzClient]:
        return [*super().clients, *self.programs]

    @property
    def _readers(self) -> Sequence[Reader]:
        return [*self.replicas, *self.programs]

    def _check(self) -> None:
        for program in self.programs:
            program.settle()
        super()._check()

    def _learn(self) -> None:
        """The nodes find out by themselves."""
        self.rested_after += 1


def _store(node: Node) -> NodeStore:
    assert isinstance(node.store, NodeStore)
    return node.store
