"""
`tests.seeded.simulation` with three servers on one store.

Everybody comes to one of them, and to any when they come back. The servers are nodes: they tell
each other what they do, by a broker that keeps its promises in some runs and hardly any in others
(`tests.support.badbus`). Of the nodes, some drain, and say so; others die, or stop for longer than
anybody waits, and go on; each is replaced by another one. They hear or say nothing for a while,
lose the store, give up waiting for it, and somebody sets their clocks. To the calm flow's store
nothing of that is done.

What is promised of a server is seen to on each: memory, timers, telemetry, nothing left behind, and
that the calm flow's members are answered, though they now wait for the writers of two other nodes,
too. What is promised of the whole is seen to over all: documents, fates, who is there and how many.
Beside that:

- when nothing is in anybody's way, all that is to come comes within `Fleet.RESTS_WITHIN` seconds,
  however bad the broker is; and once that is good, everybody sees within `Fleet.SEEN_WITHIN`
  seconds who is connected to whatever node;
- who has lost a flow by a change on whatever node is told so within `MAY_LAG` seconds, and can do
  nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from helix.store.memory import _Log
from tests.seeded.crowd import FLOW_IDS, Server
from tests.seeded.crowdedflow import Flow
from tests.seeded.guests import Traveller
from tests.seeded.nodefaults import bend, broker_of, heal, jump, stop, wake
from tests.seeded.programs import PATIENCE
from tests.seeded.rights import MAY_LAG
from tests.seeded.several import NODES, STEP, Several
from tests.seeded.simulation import CALM, Simulation
from tests.support.badbus import ALL_MANNERS, GOOD, BadBus
from tests.support.nodestore import NodeStore, NodeStores
from tests.support.world import START, World


class Fleet(Simulation):
    """
    One run; parameters as those of `Simulation`.

    :ivar rested_after: seconds without trouble after which all was at rest, the longest.
    :ivar seen_after: seconds more, with a good broker, after which all saw who is there.
    """

    KIND = Traveller

    LAG = MAY_LAG

    CALM_TURNS = 5

    CALM_SECONDS = 1.0

    RESTS_WITHIN = Several.RESTS_WITHIN

    SEEN_WITHIN = Several.SEEN_WITHIN

    def __init__(self, seed: int, make_world: Callable[..., World], clients: int) -> None:
        self.rested_after = self.seen_after = 0
        self._time = START
        self._seconds = 0
        self._rested_at: int | None = None
        super().__init__(seed, make_world, clients)

    def _actions(self) -> Mapping[Callable[[], None], float]:
        return {
            **super()._actions(),
            self._go_on: 120,
            self._shift: 15,
            self._wait: 2,
            self._restart: 0.12,
            self._stop: 0.3,
            self._wake_some: 0.5,
            self._give_up: 2,
            self._lose_store: 0.2,
            self._find_store: 0.6,
            self._bend_bus: 0.4,
            self._set_clock: 0.3,
        }

    # who is there

    def _start_all(self) -> list[Server]:
        manners, most = self.random.choice(ALL_MANNERS), self.random.choice([7500, 7500, 1000])
        self._bus = BadBus(self.random, GOOD, most)
        self._manners = manners
        self.servers = [self._start(NodeStores(self.random))]
        for _ in range(NODES - 1):
            self.servers.append(self._start(NodeStores(self.random, self.servers[0].store)))
        self._pass(STEP)
        self._settle()
        self._idle = max(len(_waiting(server)) for server in self.servers)
        self._bus.manners = manners
        return self.servers

    def _start(self, store: Any) -> Server:
        server = super()._start(store)
        server.world.clock.advance(self._now - server.world.clock.seconds())
        server.world.access.startService()
        return server

    def _settings_of(self, chance: int) -> dict[str, Any]:
        more = {"node": f"node{len(self._worlds)}", "broker": self._bus.broker}
        return {**super()._settings_of(chance), **more}

    def _server(self) -> Server:
        """Some node that isn't stopped."""
        return self.random.choice([one for one in self.servers if not _is_stopped(one)])

    # time

    @property
    def _now(self) -> float:
        return self._time

    def _pass(self, seconds: float) -> None:
        self._time += seconds
        while seconds > 0:
            for server in self.servers:
                server.world.clock.advance(min(seconds, STEP))
            seconds -= STEP

    def _settle(self) -> None:
        for _ in range(2):  # of what one does others may hear
            super()._settle()

    def _turn(self) -> None:
        super()._turn()
        for outsider in self.outsiders:
            if outsider.world is not None and not outsider.world.clock.is_stopped:
                outsider.check_withdrawn()

    # what happens

    def _stop(self) -> None:
        """A process stops (SIGSTOP), and time passes."""
        if sum(not _is_stopped(one) for one in self.servers) > 1:
            server = self._server()
            stop(server.world, _stores(server))
        seconds = self.random.choice([0, 0, 2, 40])
        self._pass(seconds)
        for client in self.clients if seconds > PATIENCE else ():  # who waits no longer
            wire = client.wire
            if wire is not None and wire.world.clock.is_stopped and self.random.random() < 0.7:
                client.cut()

    def _wake_some(self) -> None:
        for server in self.servers:
            if _is_stopped(server) and self.random.random() < 0.7:
                wake(self.random, server.world, _stores(server))

    def _wait(self) -> None:
        """What was changed counts by now."""
        self._pass(MAY_LAG)

    def _give_up(self) -> None:
        self.random.choice(self._troubled_stores(self._server())).give_up()

    def _lose_store(self) -> None:
        for store in self._troubled_stores(self.random.choice(self.servers)):
            store.is_away = True

    def _find_store(self) -> None:
        for server in self.servers:
            for store in self._troubled_stores(server):
                store.is_away = False

    def _bend_bus(self) -> None:
        bend(self.random, self._server().world)

    def _set_clock(self) -> None:
        jump(self.random, self.random.choice(self.servers).world)

    def _restart(self) -> None:
        """A node drains, and says so, or dies, perhaps while it is stopped; another one comes."""
        if self.random.random() < 0.5:
            old = self._server()
            self._drain(old)
            self._lose_clients(old)
        else:
            old = self.random.choice(self.servers)
            broker_of(old.world).die()
            old.store.die()
            self._lose_clients(old)
            if _is_stopped(old):
                old.world.clock.go_on()
        self._stop_services(old)
        old.store.die()
        self._replace(old)

    def _stop_services(self, old: Server) -> None:
        _leave(old.world)
        super()._stop_services(old)

    @staticmethod
    def _troubled_stores(server: Server) -> list[NodeStore]:
        return _stores(server, [one for one in FLOW_IDS if one != CALM])

    # the end

    def _come_to_rest(self, everybody: bool) -> None:
        self._bus.set_up(True)
        for server in self.servers:
            heal(self.random, server.world, _stores(server))
        self._seconds, self._rested_at = 0, None
        super()._come_to_rest(everybody)
        assert self._rested_at is not None
        self.rested_after = max(self.rested_after, self._rested_at)
        assert self._rested_at <= self.RESTS_WITHIN, f"rest after {self._rested_at} s"
        self._bus.manners = GOOD
        self._be_seen()
        self._bus.manners = self._manners

    def _rest(self) -> None:
        were_level = self._are_level()  # of which members in relay mode are told a little later
        self._ease_stores()
        super()._rest()
        self._ease_stores()  # of the nodes' own questions, too
        self._seconds += 1
        if self._rested_at is None and were_level and self._is_level():
            self._rested_at = self._seconds

    def _are_level(self) -> bool:
        """Whether the nodes know of all that is in the store."""
        for flow in self.flows:
            log = flow.store.flow(flow.flow_id)
            sessions = [server.world.flow(flow.flow_id) for server in self.servers]
            logs = [one.log for one in sessions if one is not None and log is not None]
            if {(one.epoch, one.version) for one in logs} - {_end_of(log)}:
                return False
        return True

    def _is_at_rest(self) -> bool:
        return self._rested_at is not None and super()._is_at_rest()

    def _tell_of_loss(self) -> None:
        """Nodes find out by themselves."""

    def _be_seen(self) -> None:
        """Let nothing of what nodes tell each other be lost, until all see who is there."""
        for server in self.servers:
            broker_of(server.world).lose_all()
        wrong = ""
        for second in range(self.SEEN_WITHIN):
            wrong = next(filter(None, map(self._wrongly_seen, self.flows)), "")
            if not wrong:
                self.seen_after = max(self.seen_after, second)
                return
            for guest in self.guests:
                guest.hold()
            self._rest()
        raise AssertionError(wrong)

    def _wrongly_seen(self, flow: Flow) -> str:
        """As `Flow.wrongly_seen`, and what the nodes count."""
        sessions = [server.world.flow(flow.flow_id) for server in self.servers]
        counts = {one.client_count_everywhere for one in sessions if one is not None}
        present = sum(client.wire is not None for client in flow.clients)
        wrong = f"nodes count {counts}, not {present}" if counts - {present} else ""
        return wrong or flow.wrongly_seen()

    def _end(self) -> None:
        self._bus.manners = GOOD
        super()._end()

    def _check_nothing_left(self) -> None:
        self._pass(STEP)
        self._settle()
        for server in self.servers:
            assert not list(server.world.service.sessions())
            waiting = _waiting(server)
            assert len(waiting) <= self._idle, f"more is left than a node has: {waiting}"
        for server in self.servers:
            _leave(server.world)
        super()._check_nothing_left()


def _is_stopped(server: Server) -> bool:
    return server.world.clock.is_stopped


def _end_of(log: _Log | None) -> tuple[str, int]:
    return ("", 0) if log is None else (log.head.epoch, log.head.version)


def _stores(server: Server, flow_ids: Iterable[str] = FLOW_IDS) -> list[NodeStore]:
    assert isinstance(server.store, NodeStores)
    return server.store.some(flow_ids)


def _waiting(server: Server) -> list[str]:
    """What a node waits to do."""
    return [str(call) for call in server.world.clock.getDelayedCalls()]


def _leave(world: World) -> None:
    """A node ends, and says so."""
    world.access.stopService()
    assert world.nodes is not None
    world.nodes.stopService()
