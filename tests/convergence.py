"""
Many clients of one flow in a world where everything that can go wrong does, from one seed.

Frames are flushed by hand, a few bytes at a time; clients edit, go, and come back; appends wait,
fail, or happen without anybody being told; the session crashes; the server restarts. In the end
everything is let through, and what was promised has to hold:

- the log's versions are contiguous, and it holds no submission twice;
- what was acknowledged is in the log, at the version that it was acknowledged with;
- what wasn't is not lost either: the clients have sent it again;
- every client holds the document that the log makes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import attrs
from twisted.python.failure import Failure

from helix.document import FlowDocument, empty_document, encode_document, merge
from helix.edits import Submission
from helix.errors import HelixError, StoreUnavailable
from tests.heldstore import HeldStore
from tests.world import Client, Message, World

TOPIC = "flow:f"

NODES = "abcdef"

EDGES = "xyz"


def random_patch(random: Random) -> dict[str, Any]:
    """Some edit, sensible or not, but never one that is refused for good."""
    node, other, edge = random.choice(NODES), random.choice(NODES), random.choice(EDGES)
    whole = {"id": node, "position": {"x": random.randrange(99), "y": 0}, "data": {}}
    patches: list[dict[str, Any]] = [
        {"nodes": {node: whole}},
        {"nodes": {node: {"position": {"x": random.randrange(99)}}}},
        {"nodes": {node: {"data": {random.choice("pq"): random.choice([1, "s", None, [1]])}}}},
        {"nodes": {node: None}},
        {"edges": {edge: {"id": edge, "source": node, "target": other}}},
        {"edges": {edge: {"target": other}}},
        {"edges": {edge: None}},
        {"title": f"{random.randrange(99)}"},
    ]
    patch = random.choice(patches)
    if random.random() < 0.2:
        return merge(patch, random.choice(patches)) or patch
    return patch


@attrs.define(eq=False)
class Replica:
    """
    A client that keeps a copy, as small as one can be.

    :ivar outbox: what is not acknowledged: op id -> patch, in order.
    :ivar accepted: op id -> the version that it was acknowledged with.
    """

    client_id: str
    wire: Client | None = None
    joined: bool = False
    join_ref: str = ""
    epoch: str | None = None
    version: int = 0
    document: dict[str, Any] = attrs.field(factory=dict)
    next_op: int = 1
    outbox: dict[int, dict[str, Any]] = attrs.field(factory=dict)
    unanswered: dict[str, int] = attrs.field(factory=dict)
    accepted: dict[int, int] = attrs.field(factory=dict)
    stopped: bool = False

    def connect(self, world: World, room: int | None) -> None:
        self.wire = world.client()
        self.wire.socket.room = room
        self.join()

    def join(self) -> None:
        assert self.wire is not None
        self.joined = self.stopped = False
        self.unanswered.clear()
        params: dict[str, Any] = {"mode": "document", "client_id": self.client_id}
        if self.epoch is not None:
            params |= {"epoch": self.epoch, "version": self.version}
        self.join_ref = self.wire.join(TOPIC, params)

    def cut(self) -> None:
        if self.wire is not None:
            self.wire.cut()
        self.wire = None
        self.joined = False

    def edit(self, patch: dict[str, Any]) -> None:
        self.outbox[self.next_op] = patch
        if self.joined and not self.stopped:
            self._send(self.next_op)
        self.next_op += 1

    def resume(self) -> None:
        """Send again from the oldest that is not acknowledged on, in order."""
        self.stopped = False
        for op_id in list(self.outbox):
            self._send(op_id)

    def look(self) -> None:
        """Take what arrived."""
        if self.wire is None:
            return
        if self.wire.lost:
            self.cut()
            return
        for message in self.wire.received():
            self._take(message)

    def _send(self, op_id: int) -> None:
        assert self.wire is not None
        payload = {"op_id": op_id, "patch": self.outbox[op_id]}
        self.unanswered[self.wire.push(TOPIC, "patch", payload)] = op_id

    def _take(self, message: Message) -> None:
        if message.event == "phx_error" or message.event == "phx_close":
            if message.join_ref == self.join_ref:
                self.join()
        elif message.event == "phx_reply":
            if message.ref == self.join_ref:
                self._take_join(message.payload)
            elif message.ref in self.unanswered and message.join_ref == self.join_ref:
                self._take_answer(self.unanswered.pop(message.ref), message.payload)
        elif self.joined and message.event == "entries":
            self._take_entries(message.payload["entries"])
        elif self.joined and message.event == "reset":
            self._take_whole(message.payload)

    def _take_join(self, payload: dict[str, Any]) -> None:
        response = payload["response"]
        if payload["status"] == "error":
            assert response["retry"], response
            self.join()
            return
        self.joined = True
        if response["recovered"]:
            assert response["epoch"] == self.epoch
            self._take_entries(response["entries"])
            assert self.version == response["version"]
        else:
            self._take_whole(response)
        self.resume()

    def _take_answer(self, op_id: int, payload: dict[str, Any]) -> None:
        response = payload["response"]
        if payload["status"] == "ok":
            self.outbox.pop(op_id, None)
            known = self.accepted.setdefault(op_id, response["version"])
            assert known == response["version"] or response.get("patch") == {}
        else:
            assert response["retry"], response
            self.stopped = True

    def _take_entries(self, entries: list[dict[str, Any]]) -> None:
        for entry in entries:
            if entry["version"] <= self.version:
                continue
            assert entry["version"] == self.version + 1, "a gap"
            self.document = merge(self.document, entry["patch"])
            self.version = entry["version"]

    def _take_whole(self, state: dict[str, Any]) -> None:
        self.epoch, self.version = state["epoch"], state["version"]
        self.document = state["document"]


class Convergence:
    """
    One run.

    :param seed: all that happens follows from it.
    :param make_world: makes a world on a store.
    """

    def __init__(self, seed: int, make_world: Callable[..., World]) -> None:
        self.random = Random(seed)
        self.store = HeldStore()
        self.store.holding = True
        self._make_world = make_world
        self._worlds: list[World] = []
        self._restart()
        self.replicas = [Replica(f"c{n}") for n in range(self.random.randrange(2, 7))]

    def run(self, steps: int) -> None:
        """Let things happen, then let all come to rest, and check what was promised."""
        actions: Mapping[Callable[[], None], int] = {
            self._edit: 30,
            self._flush: 40,
            self._look: 25,
            self._store_answers: 25,
            self._store_fails: 2,
            self._connect: 8,
            self._cut: 2,
            self._crash: 1,
            self._restart: 1,
            self._submit: 3,
            self._time: 10,
        }
        for action in self.random.choices(list(actions), list(actions.values()), k=steps):
            action()
        self._come_to_rest()
        self._check()

    # what happens

    def _edit(self) -> None:
        self.random.choice(self.replicas).edit(random_patch(self.random))

    def _flush(self) -> None:
        for replica in self.random.sample(self.replicas, 2):
            if replica.wire is not None and replica.wire.socket.room is not None:
                replica.wire.socket.room += self.random.choice([1, 40, 500, 5000])
        self.world.clock.turn()

    def _look(self) -> None:
        replica = self.random.choice(self.replicas)
        replica.look()
        if replica.joined and replica.stopped:
            replica.resume()

    def _store_answers(self) -> None:
        if self.store.waiting:
            self.store.let_through()

    def _store_fails(self) -> None:
        method = self.random.choice(["append", "create", "head", "newest_op", "find"])
        self.store.fail(method, StoreUnavailable(), happens=self.random.random() < 0.5)

    def _connect(self) -> None:
        replica = self.random.choice(self.replicas)
        if replica.wire is None:
            replica.connect(self.world, self.random.choice([None, 0, 300, 3000]))

    def _cut(self) -> None:
        self.random.choice(self.replicas).cut()

    def _crash(self) -> None:
        session = self.world.flow()
        if session is not None:
            try:
                raise RuntimeError("a fault")
            except RuntimeError:
                session.crash(Failure())

    def _restart(self) -> None:
        """Another server on the same store; of what the old one was writing some came to be."""
        if self._worlds:
            for replica in self.replicas:
                replica.cut()
            self.world.service.stopService()
            while self.store.waiting:
                self.random.choice([self.store.let_through, self.store.drop])()
        self.world = self._make_world(store=self.store)
        self._worlds.append(self.world)

    def _submit(self) -> None:
        """An edit by REST: it has no name, so nobody sends it again."""
        patch = random_patch(self.random)
        edit = Submission(lambda document: document.stage(patch))
        self.world.service.submit("f", edit).addErrback(lambda failure: failure.trap(HelixError))

    def _time(self) -> None:
        self.world.clock.advance(self.random.choice([0, 0.01, 1, 20]))

    # the end

    def _come_to_rest(self) -> None:
        self.store.errors.clear()
        for _ in range(300):
            while self.store.waiting:
                self.store.let_through()
            for replica in self.replicas:
                if replica.wire is None:
                    replica.connect(self.world, None)
                replica.wire.socket.room = None
            # What an old server's append did after all, the new one learns by the next edit, or so:
            self.world.service.refresh("f")
            for world in self._worlds:
                world.clock.advance(1)
                world.settle()
            for replica in self.replicas:
                self._look_at(replica)
            if self._is_at_rest():
                return
        raise AssertionError(f"no rest: {[(r.joined, r.outbox) for r in self.replicas]}")

    def _look_at(self, replica: Replica) -> None:
        replica.look()
        if replica.joined and replica.stopped:
            replica.resume()

    def _is_at_rest(self) -> bool:
        stored = self._stored_version()
        return not self.store.waiting and all(
            replica.joined and not replica.outbox and replica.version == stored
            for replica in self.replicas
        )

    def _stored_version(self) -> int:
        log = self.store._logs.get("f")
        return 0 if log is None else log.head.version

    def _check(self) -> None:
        for world in self._worlds:
            world.failures.clear()  # the crashes that were asked for
        log = self.store._logs.get("f")
        entries = [] if log is None else log.entries
        assert [entry.version for entry in entries] == list(range(1, len(entries) + 1))
        named = {
            (entry.client_id, entry.op_id): entry.version for entry in entries if entry.client_id
        }
        assert len(named) == sum(entry.client_id is not None for entry in entries), (
            "a submission twice"
        )
        document = FlowDocument(empty_document())
        for entry in entries:
            document.apply(json.loads(entry.patch))
        for replica in self.replicas:
            assert encode_document(replica.document) == encode_document(document.content)
            for op_id, version in replica.accepted.items():
                logged = named.get((replica.client_id, op_id))
                assert logged in (None, version), "acknowledged with another version"
            assert set(replica.accepted) == set(range(1, replica.next_op))
