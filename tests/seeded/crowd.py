"""Everybody in a simulation, and what may happen to them, to the server and to its stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from helix.errors import HelixError, StoreFull, StoreUnavailable
from helix.flows.lifetime import LINGER
from helix.log.edits import Submission
from tests.seeded.convergence import AskedFor
from tests.seeded.crowdedflow import Flow
from tests.seeded.fates import Author
from tests.seeded.fuzzclients import FuzzClient, RelayReplica
from tests.seeded.guests import Guest
from tests.seeded.outsiders import Outsider
from tests.support.heldstore import LateStore, StorePerFlow
from tests.support.world import Client, World

FLOW_IDS = tuple(f"f{n}" for n in range(4))

ACTIONS = 60
"""What happens at most within a turn."""

OUTSIDER_EVERY = 10
"""For how many clients there is one whose role changes."""

HEARTBEAT = 25.0
"""Seconds between two of a client's."""


@attrs.define(eq=False)
class Server:
    """A server and its way to the store."""

    world: World
    store: StorePerFlow


class Crowd:
    """
    The people of a run, their server, and all that may happen to both.

    :param seed: all that happens follows from it.
    :param make_world: makes a world on a store.
    :param clients: how many there are.

    :ivar servers: that run now.
    """

    KIND = Guest
    """Of those in document mode."""

    LAG = 0.0
    """Seconds after which what is changed in what a flow gives counts."""

    def __init__(self, seed: int, make_world: Callable[..., World], clients: int) -> None:
        self.random = random = Random(seed)
        self._is_prompt = seed % 5 == 4
        self._make_world = make_world
        self._settings = {
            "high_water_mark": random.choice([1 << 20, 20_000, 3000]),
            "idle_timeout": random.choice([1800.0, 1800.0, 40.0]),
        }
        self._forgetful = random.choice([0, 0, 0.05, 0.2])
        self._worlds: list[World] = []
        self.servers = self._start_all()
        self._heartbeat_at = self._now + HEARTBEAT
        self._dead: list[Client] = []
        self._faults: list[Failure] = []
        stores = self.servers[0].store
        self.flows = [Flow(flow_id, stores.of(flow_id), self.KIND) for flow_id in FLOW_IDS]
        for number in range(clients):
            self._add_client(number)
        self.outsiders = [
            Outsider(f"o{number}", random.choice(self.flows[1:]), lambda: self._now, self.LAG)
            for number in range(clients // OUTSIDER_EVERY)
        ]

    @property
    def guests(self) -> list[Guest]:
        """Those in document mode."""
        return [guest for flow in self.flows for guest in flow.guests]

    @property
    def clients(self) -> list[FuzzClient]:
        """All of them."""
        return [client for flow in self.flows for client in flow.clients]

    # who is there

    def _start_all(self) -> list[Server]:
        return [self._start(StorePerFlow(self.random, prompt=self._is_prompt))]

    def _start(self, store: StorePerFlow) -> Server:
        chance = self.random.randrange(1 << 32)  # no two servers make up the same ids
        world = self._make_world(
            store=store, seed=chance, shares_turns=True, **self._settings_of(chance)
        )
        world.registry.startService()
        self._worlds.append(world)
        return Server(world, store)

    def _settings_of(self, chance: int) -> dict[str, Any]:
        """Those of a new world."""
        return self._settings

    def _server(self) -> Server:
        """Some server that does something now."""
        return self.servers[0]

    def _store_of(self, flow_id: str) -> LateStore:
        """Some server's way to a flow in the store."""
        return self._server().store.of(flow_id)

    @property
    def _now(self) -> float:
        return max(server.world.clock.seconds() for server in self.servers)

    def _add_client(self, number: int) -> None:
        flow = self.random.choice(self.flows)
        topic = f"flow:{flow.flow_id}"
        if self.random.random() < 0.2:
            flow.relays.append(RelayReplica(topic=topic))
            return
        person = f"p{number % 7}" if self.random.random() < 0.3 else None
        author = Author(f"c{number}", flow.store.truth)
        guest = self.KIND(topic=topic, author=author, person=person)
        guest.lingers = self.random.random() < 0.3
        if self.random.random() < 0.1:
            guest.disorder = self.random
            author.is_orderly = False
        flow.guests.append(guest)

    # what happens

    def act(self) -> None:
        """Let some of it happen."""
        actions = self._actions()
        some = self.random.randrange(1, ACTIONS)
        for action in self.random.choices(list(actions), list(actions.values()), k=some):
            action()

    def _actions(self) -> Mapping[Callable[[], None], float]:
        """What may happen, and how often each does."""
        return {
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
            self._shift: 3,
            self._come: 25,
            self._edit_outside: 60,
        }

    def _edit(self) -> None:
        self.random.choice(self.clients).edit(self.random)

    def _point(self) -> None:
        self.random.choice(self.guests).point(self.random)

    def _show(self) -> None:
        self.random.choice(self.guests).show(self.random)

    def _connect(self) -> None:
        client = self.random.choice(self.clients)
        if client.wire is None:
            world = self._server().world
            client.connect(world, self.random.choice([None, None, None, None, 3000, 300]))

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
        store = self._store_of(self._troubled())
        if store.waiting:
            store.go_on()

    def _store_fails(self) -> None:
        store = self._store_of(self._troubled())
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
        self._bear(self._server().world.service.submit(self._troubled(), edit))

    def _crash(self) -> None:
        session = self._server().world.flow(self._troubled())
        if session is not None:
            session.crash(Failure(AskedFor()))

    def _meet_a_fault(self) -> None:
        """An edit turns out to be more than the server can think of."""

        def stage(_: object, dropped: object) -> Any:
            raise AskedFor

        self._bear(self._server().world.service.submit(self._troubled(), Submission(stage)))

    def _close_flow(self) -> None:
        flow_id = self._troubled()
        world = self._server().world
        if world.flow(flow_id) is not None:
            world.service.close(flow_id)

    def _jump(self) -> None:
        self._pass(self.random.choice([1, 5, 20, 45, 100]))

    def _pass(self, seconds: float) -> None:
        """Time passes, for all servers alike."""
        self.servers[0].world.clock.advance(seconds)

    def _settle(self) -> None:
        """What is due is done."""
        for server in self.servers:
            server.world.settle()

    def _restart(self) -> None:
        """Another server on the same stores; of what the old one was writing some came to be."""
        old = self._server()
        if self.random.random() < 0.5:
            self._drain(old)
        self._lose_clients(old)
        self._stop_services(old)
        old.store.die()
        self._replace(old)

    def _drain(self, old: Server) -> None:
        drained = Deferred.fromCoroutine(old.world.registry.drain())
        while not drained.called:
            for client in self.random.sample(self.clients, len(self.clients) // 10):
                client.edit(self.random)
            self._pass(0.05)
            self._settle()

    def _lose_clients(self, old: Server) -> None:
        """All that are connected to a server are cut off."""
        for client in self.clients:
            if client.wire is not None and client.wire.world is old.world:
                client.look()
                client.cut()
        for outsider in self.outsiders:
            if outsider.world is old.world:
                outsider.look()
                outsider.cut()
        for wire in self._dead:
            if wire.world is old.world:
                wire.cut()

    def _stop_services(self, old: Server) -> None:
        old.world.registry.stopService()
        old.world.service.stopService()
        old.world.clock.advance(LINGER)
        old.world.settle()

    def _replace(self, old: Server) -> None:
        new = self._start(type(old.store)(self.random, old.store))
        self.servers[self.servers.index(old)] = new
        self._heartbeat_at = min(self._heartbeat_at, new.world.clock.seconds() + HEARTBEAT)

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
        self._store_of(flow_id).go_back(flow_id, self.random.randrange(1, 9))

    def _shift(self) -> None:
        """Somebody's role in a flow is changed."""
        if self.outsiders:
            self.random.choice(self.outsiders).shift(self._server().world, self.random)

    def _come(self) -> None:
        if self.outsiders:
            self.random.choice(self.outsiders).come(self._server().world)

    def _edit_outside(self) -> None:
        if self.outsiders:
            self.random.choice(self.outsiders).edit()

    def _abandon(self, client: FuzzClient) -> None:
        wire = client.abandon()
        if wire is not None:
            wire.socket.room = self.random.choice([0, 5000, None])
            self._dead.append(wire)

    def _bear(self, asked: Deferred[Any]) -> None:
        """What is asked may be refused."""
        asked.addErrback(lambda failure: failure.trap(HelixError)).addErrback(self._faults.append)


def _is_slow(client: FuzzClient) -> bool:
    return client.wire is not None and client.wire.socket.room is not None
