"""
Many clients of one flow in a world where everything that can go wrong does, from one seed.

Frames are flushed by hand, a few bytes at a time; clients in both modes edit, undo, group, go,
leave dead connections behind, and come back; their pages die and leave it to others to send what
they had not sent, or begin anew under the same name and remember nothing; some send in no order;
some claim the names of others. What the store is asked waits, fails, or happens without anybody
being told, in any order, and the store forgets what it had confirmed; sessions crash; one or two
servers on the store drain or die, and others go on; what these tell each other is lost, late, or
comes twice; the flow is deleted, comes back, or gives way
to another. In the end everything is let through, and what was promised has to hold:

- a log's versions are contiguous, and it holds no submission twice, each client's in their order;
- what became of each edit of everybody is what its author was told (`tests.seeded.fates`): it is in
  the log, as it was sent but for what was dropped, or changed nothing, or was refused, or went with
  what a store forgot;
- nobody's name is on an edit that they didn't make;
- whatever document or entries anybody is told are what the log makes at that version;
- every client ends with the document that the log makes;
- nothing fails but what was made to.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import count
from random import Random
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent
from twisted.python.failure import Failure

from helix.documents.document import encode_document
from helix.errors import HelixError, StoreFull, StoreUnavailable
from helix.flows.library import FlowLibrary
from helix.log.edits import FlowState, Submission
from helix.log.verify import verify_flow
from tests.seeded.fates import Author, check_fates
from tests.seeded.fuzzclients import FuzzClient, RelayReplica, random_patch
from tests.seeded.replicas import Replica
from tests.support.bus import Bus
from tests.support.heldstore import HeldStore, LateStore
from tests.support.world import Client, World

STEPS = 400
"""How much happens in a run."""

SMALL = {
    "helix.flows.beginnings.HERE_BYTES": 200,
    "helix.log.live_log.RECENT_BYTES": 1500,
    "helix.log.live_log.PAGE": 7,
    "helix.log.live_log.SNAPSHOT_ENTRIES": 20,
    "helix.log.live_log.LAST_SNAPSHOT_ENTRIES": 10,
    "helix.log.remote_writes.PAGE": 7,
    "helix.log.commit_loop.MAX_GROUP": 5,
}
"""Sizes with which a run of this length meets what takes a long time otherwise."""


class AskedFor(Exception):
    """A fault that a run makes."""


class Reader(Protocol):
    """A client in document mode, as far as it shows a document."""

    @property
    def epoch(self) -> str | None:
        """Of the log that it shows."""

    @property
    def version(self) -> int:
        """That it shows."""

    @property
    def document(self) -> dict[str, Any]:
        """That it shows."""


@attrs.define(eq=False)
class Node:
    """A server and its way to the store."""

    world: World
    store: LateStore
    library: FlowLibrary


class Convergence:
    """
    One run.

    :param seed: all that happens follows from it.
    :param make_world: makes a world on a store.
    """

    RESTS_WITHIN = 300
    """Seconds without trouble after which everybody has everything, at the latest."""

    def __init__(self, seed: int, make_world: Callable[..., World]) -> None:
        self.random = random = Random(seed)
        self._is_prompt = seed % 5 == 4
        self._make_world = make_world
        self._seeds = count()
        self._deletions = random.choice([0, 0.3, 2])
        self._mark = random.choice([1 << 20, 1 << 20, 4000, 600])
        self._worlds: list[World] = []
        self._abandoned: list[Client] = []
        self._faults: list[Failure] = []
        self.bus: Bus | None = None
        self.nodes = self._make_nodes()
        self._forgetful = random.choice([0, 0, 0.3, 1])
        self.truth = self.nodes[0].store.truth
        self.authors: list[Author] = []
        self.replicas: list[Replica] = []
        self.relays: Sequence[RelayReplica] = ()
        self._add_people()
        for replica in self.replicas:
            replica.lingers = random.random() < 0.3
            if random.random() < 0.2:
                replica.disorder = random
                replica.author.is_orderly = False
        if random.random() < 0.5:  # a document that is more than the entries that one misses
            self.replicas[0].add({"description": "x" * 3000, "data": {"c0": 0}})

    def run(self, steps: int) -> None:
        """Let things happen, then let all come to rest, and check what was promised."""
        actions = self._actions()
        for action in self.random.choices(list(actions), list(actions.values()), k=steps):
            action()
            self._acted()
        self._come_to_rest()
        self._check()

    def _actions(self) -> Mapping[Callable[[], None], float]:
        """What may happen, and how often each does."""
        return {
            self._edit: 30,
            self._flush: 40,
            self._look: 25,
            self._store_answers: 40,
            self._store_fails: 2,
            self._connect: 8,
            self._cut: 2,
            self._abandon: 1,
            self._crash: 1,
            self._restart: 1,
            self._drain: 1,
            self._reload: 1,
            self._begin_anew: 0.5,
            self._hijack: 0.5,
            self._go_back: self._forgetful,
            self._submit: 3,
            self._read: 3,
            self._refresh: 2,
            self._delete: self._deletions,
            self._undelete: 1,
            self._create: 2 * self._deletions,
            self._time: 10,
            self._turn_bus: 1,
        }

    def _add_people(self) -> None:
        """Clients of both modes."""
        self.relays = [RelayReplica() for _ in range(self.random.choice([0, 0, 1, 3]))]
        for _ in range(self.random.randrange(2, 7)):
            self._add_replica(self._new_author())

    def _acted(self) -> None:
        """Something has happened."""

    # what happens

    def _node(self) -> Node:
        """Some server."""
        return self.random.choice(self.nodes)

    def _edit(self) -> None:
        self.random.choice(self.clients).edit(self.random)

    def _flush(self) -> None:
        for client in self.random.sample(self.clients, 2):
            if client.wire is not None and client.wire.socket.room is not None:
                client.wire.socket.room += self.random.choice([1, 40, 500, 5000])
        self._node().world.clock.turn()

    def _look(self) -> None:
        self.random.choice(self.clients).look()

    def _store_answers(self) -> None:
        store = self._node().store
        if store.waiting:
            store.go_on()

    def _store_fails(self) -> None:
        store = self._node().store
        method = self.random.choice(
            ["append", "create", "head", "ends", "newest_op", "find", "load"]
        )
        if self.random.random() < 0.2:
            store.fail(method, StoreFull())
        else:
            store.fail(method, StoreUnavailable(), happens=self.random.random() < 0.5)

    def _connect(self) -> None:
        client = self.random.choice(self.clients)
        if client.wire is None:
            room = self.random.choice([None, 0, 300, 3000])
            client.connect(self._node().world, room)

    def _cut(self) -> None:
        self.random.choice(self.clients).cut()

    def _abandon(self) -> None:
        wire = self.random.choice(self.clients).abandon()
        if wire is not None:
            self._abandoned.append(wire)

    def _crash(self) -> None:
        session = self._node().world.flow()
        if session is not None:
            session.crash(Failure(AskedFor()))

    def _restart(self) -> None:
        """Another server on the same store; of what the old one was writing some came to be."""
        self._replace(self.random.choice(self.nodes))

    def _drain(self) -> None:
        """As `_restart`, but in good order, while the clients go on."""
        old = self._node()
        drained = Deferred.fromCoroutine(old.world.registry.drain())
        while not drained.called:
            for client in self.clients:
                if self.random.random() < 0.3:
                    client.edit(self.random)
                client.look()
            if old.store.waiting and self.random.random() < 0.5:
                old.store.go_on()
            self._pass_beside(old, 0.05)
            old.world.settle()
        self._replace(old)

    def _pass_beside(self, node: Node, seconds: float) -> None:
        """Time passes for a server that drains."""
        node.world.clock.advance(seconds)

    def _replace(self, old: Node) -> None:
        for client in self.clients:
            if client.wire is not None and client.wire.world is old.world:
                client.cut()
        old.world.service.stopService()
        if old.world.nodes is not None:
            old.world.nodes.stopService()
        old.store.die()
        self.nodes[self.nodes.index(old)] = self._make_node(old.store)

    def _reload(self) -> None:
        """A page is loaded anew: it gets a name of its own, and has the rest sent by another."""
        page = self.random.choice(self.replicas)
        if page.only_sends:
            return
        heir = self._add_replica(page.author)
        heir.only_sends = True
        heir.disorder = page.disorder
        heir.next_op = page.next_op
        heir.outbox, page.outbox = page.outbox, []
        wire = page.abandon()
        if wire is not None:
            self._abandoned.append(wire)
        page.author, page.next_op = self._new_author(), 1
        page.author.is_orderly = page.disorder is None

    def _begin_anew(self) -> None:
        """A program is started again that keeps nothing but its name."""
        program = self.random.choice(self.replicas)
        if program.only_sends or any(
            one.author is program.author for one in self.replicas if one is not program
        ):
            return
        wire = program.abandon()
        if wire is not None:
            self._abandoned.append(wire)
        program.forget()

    def _hijack(self) -> None:
        """Somebody calls themselves what others call somebody."""
        victim = self.random.choice(self.replicas)
        if victim.name and not any(one.client_id == victim.name for one in self.authors):
            hijacker = self._add_replica(self._new_author(victim.name))
            hijacker.next_op = self.random.choice([1, 2**53 - STEPS])

    def _go_back(self) -> None:
        """The store has lost its newest entries."""
        self._node().store.go_back("f", self.random.randrange(1, 9))

    def _new_author(self, client_id: str = "") -> Author:
        self.authors.append(Author(client_id or f"c{len(self.authors)}", self.truth))
        return self.authors[-1]

    def _add_replica(self, author: Author) -> Replica:
        self.replicas.append(Replica(author=author))
        return self.replicas[-1]

    @property
    def clients(self) -> list[FuzzClient]:
        return [*self.replicas, *self.relays]

    def _submit(self) -> None:
        """An edit by REST: it has no name, so nobody sends it again."""
        patch = random_patch(self.random)
        edit = Submission(lambda document, _: document.stage(patch))
        self._bear(self._node().world.service.submit("f", edit))

    def _read(self) -> None:
        self._bear(self._node().world.service.read("f").addCallback(self._check_read))

    def _check_read(self, state: FlowState) -> None:
        assert state.document in self.truth.documents(state.head.epoch, state.version)

    def _refresh(self) -> None:
        if len(self.nodes) > 1:
            self._node().world.service.refresh("f")

    def _delete(self) -> None:
        self._bear(self._node().library.delete("f"))

    def _undelete(self) -> None:
        self._bear(self._node().library.undelete("f"))

    def _create(self) -> None:
        """Only where there is none, or a deleted one."""
        title = {"title": "another"} if self.random.random() < 0.5 else {}
        self._bear(self._node().library.create(title, "f"))

    def _time(self) -> None:
        world = self._node().world
        world.clock.advance(self.random.choice([0, 0.01, 1, 20]))

    def _turn_bus(self) -> None:
        """What carries the nodes' messages goes away, or comes back."""
        if self.bus is not None:
            self.bus.set_up(self.random.random() < 0.7)

    def _make_nodes(self) -> list[Node]:
        """One server, or two, which tell each other what they do, or don't."""
        is_shared = not self._is_prompt and self.random.random() < 0.5
        if is_shared and self.random.random() < 0.7:
            self.bus = Bus(self.random)
        first = self._make_node(None)
        return [first, self._make_node(first.store)] if is_shared else [first]

    def _make_node(self, beside: LateStore | None) -> Node:
        store = self._make_store(beside)
        seed = next(self._seeds)
        world = self._make_world(
            store=store,
            high_water_mark=self._mark,
            seed=seed,
            shares_turns=True,
            node=f"node{seed}",
            broker=None if self.bus is None else self.bus.broker,
            **self._settings,
        )
        self._worlds.append(world)
        ids = (f"other{n}" for n in count())
        return Node(world, store, FlowLibrary(world.service, world.logs, ids.__next__, ()))

    def _make_store(self, beside: LateStore | None) -> LateStore:
        return LateStore(self.random, beside, self._is_prompt)

    @property
    def _settings(self) -> dict[str, Any]:
        """Those of a world, besides."""
        return {}

    # the end

    def _come_to_rest(self) -> None:
        for wire in self._abandoned:
            wire.socket.room = None
        for _ in range(self.RESTS_WITHIN):
            self._ease()
            self._learn()
            were_level = self._are_level()  # of which members in relay mode are told a little later
            for world in self._worlds:
                world.clock.advance(1)
                world.settle()
            for client in self.clients:
                client.look()
            self._dismiss_heirs()
            if were_level and self._is_at_rest():
                for node in self.nodes:
                    node.store.holding = node.store.late = False
                return
        raise AssertionError(f"no rest: {self.clients}")

    def _learn(self) -> None:
        """
        What the store lost, a server learns by an edit, or so; and what the other one did, unless
        they tell each other.
        """
        if (len(self.nodes) > 1 and self.bus is None) or self.truth.went_back:
            for node in self.nodes:
                node.world.service.refresh("f")

    def _ease(self) -> None:
        """Let nothing be in anybody's way; what nodes tell each other still gets lost."""
        if self.bus is not None:
            self.bus.set_up(True)
        for node in self.nodes:
            node.store.errors.clear()
            while node.store.waiting:
                node.store.go_on()
        for client in self.clients:
            if client.wire is None:
                client.connect(self._place().world, None)
            assert client.wire is not None
            client.wire.socket.room = None
        if self._is_deleted():
            self._undelete()

    def _place(self) -> Node:
        """Where those come back in the end who are away."""
        return self.nodes[0]

    def _dismiss_heirs(self) -> None:
        """Who has sent all that it was there to send, goes."""
        for heir in [one for one in self.replicas if one.only_sends and one.is_at_rest]:
            heir.cut()
            self.replicas.remove(heir)
            for edit in heir.author.edits:
                edit.given_up = True

    def _is_deleted(self) -> bool:
        log = self.nodes[0].store.flow("f")
        return log is not None and log.head.deleted_at is not None

    def _are_level(self) -> bool:
        """Whether the nodes know of all that is in the store, and have nothing more for it."""
        log = self.nodes[0].store.flow("f")
        found = [one for one in (node.world.flow() for node in self.nodes) if one is not None]
        return not any(one.is_busy for one in found) and (
            log is None
            or all(
                (one.log.epoch, one.log.version) == (log.head.epoch, log.head.version)
                for one in found
            )
        )

    def _is_at_rest(self) -> bool:
        log = self.nodes[0].store.flow("f")
        at = 0 if log is None else log.head.version
        return (
            not any(node.store.waiting for node in self.nodes)
            and all(map(self._is_settled, self.clients))
            and all(one.version == at for one in self._readers)
            and (log is None or all(one.epoch == log.head.epoch for one in self._readers))
            and not self._is_deleted()
        )

    def _is_settled(self, client: FuzzClient) -> bool:
        """Whether a client has what it is to have, and nothing of it waits."""
        return client.is_at_rest

    def _check(self) -> None:
        for world in self._worlds:
            unforeseen = [event for event in world.failures if not is_asked_for(event)]
            assert not unforeseen, unforeseen[0]
            world.failures.clear()
        self.nodes[0].store.check()
        check_fates(self.authors, self.truth, self._away)
        document = self._document()
        for replica in self._readers:
            assert encode_document(replica.document) == encode_document(document)
        for relay in self.relays:
            if relay.joined:
                assert relay.shows(document), (relay.nodes, relay.edges, document)
        if self.nodes[0].store.flow("f") is not None:
            for node in self.nodes:
                session = node.world.flow()
                if session is not None:
                    self._check_read(session.state())
            quiet = HeldStore(self.nodes[0].store)
            Deferred.fromCoroutine(verify_flow(quiet, "f")).addErrback(self._faults.append)
        for fault in self._faults:
            fault.raiseException()

    @property
    def _readers(self) -> Sequence[Reader]:
        """Who is to be shown the flow when all is at rest."""
        return self.replicas

    @property
    def _away(self) -> Collection[Author]:
        """Who may have edits that wait, even then."""
        return ()

    def _document(self) -> dict[str, Any]:
        return self.replicas[0].document

    def _bear(self, asked: Deferred[Any]) -> None:
        """What is asked may be refused."""
        asked.addErrback(lambda failure: failure.trap(HelixError)).addErrback(self._faults.append)


def is_asked_for(event: LogEvent) -> bool:
    """Whether what was logged is due to a fault that a run made."""
    failure = event.get("log_failure")
    if failure is not None:
        return bool(failure.check(AskedFor))
    return isinstance(event.get("error"), StoreFull)
