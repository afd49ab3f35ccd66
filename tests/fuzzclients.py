"""Small clients in both modes for seeded runs, which check what they are told."""

from __future__ import annotations

from random import Random
from typing import Any, Protocol

import attrs

from helix.document import encode_document, merge
from helix.mergepatch import same
from tests.flowdata import by_id
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


class Truth(Protocol):
    """What the store has."""

    def document(self, epoch: str, version: int) -> bytes:
        """The document that a log makes up to a version."""

    def holds(self, version: int, client_id: str, op_id: int) -> bool:
        """Whether a log has a submission at that version."""

    def knows(self, client_id: str, op_id: int) -> bool:
        """Whether a log has a submission: perhaps one that gave way to another since."""


@attrs.define(eq=False, kw_only=True)
class FuzzClient:
    """
    A client that joins, and joins again.

    :ivar topic: what it joins.
    :ivar wire: its connection, if it has one.
    :ivar world: where to.
    """

    topic: str = TOPIC
    wire: Client | None = None
    joined: bool = False
    join_ref: str = ""

    def connect(self, world: World, room: int | None) -> None:
        self.wire = world.client()
        self.wire.answers_close = True
        self.wire.socket.room = room
        self.join()

    def join(self) -> None:
        assert self.wire is not None
        self.joined = False
        self.join_ref = self.wire.join(self.topic, self.parameters())

    def abandon(self) -> Client | None:
        """Go, and leave a connection that the server doesn't know to be dead."""
        wire, self.wire = self.wire, None
        self.joined = False
        return wire

    def leave(self) -> None:
        """Leave the channel; with its end, go."""
        if self.wire is not None:
            self.wire.leave(self.topic)

    def cut(self) -> None:
        if (wire := self.abandon()) is not None:
            wire.cut()

    def look(self) -> None:
        """Take what arrived."""
        wire = self.wire
        if wire is None:
            return
        for message in wire.received():
            if self.wire is wire:
                self._take(message)
        if wire.lost or wire.close_code is not None:
            self.cut()

    def parameters(self) -> dict[str, Any]:
        """Those of a join."""
        raise NotImplementedError

    def take_join(self, status: str, response: dict[str, Any]) -> None:
        raise NotImplementedError

    def take_answer(self, ref: Any, status: str, response: dict[str, Any]) -> None:
        raise NotImplementedError

    def take_event(self, event: str, payload: dict[str, Any]) -> None:
        raise NotImplementedError

    def _take(self, message: Message) -> None:
        if message.event == "phx_error":
            if message.join_ref == self.join_ref:
                self.join()
        elif message.event == "phx_close":
            if message.join_ref == self.join_ref:
                self.cut()
        elif message.event == "phx_reply":
            status, response = message.payload["status"], message.payload["response"]
            if message.ref == self.join_ref:
                self.take_join(status, response)
            elif message.join_ref == self.join_ref:
                self.take_answer(message.ref, status, response)
        elif self.joined:
            self.take_event(message.event, message.payload)


@attrs.define(eq=False, kw_only=True)
class Replica(FuzzClient):
    """
    A client in document mode: a copy, and an outbox.

    :ivar client_id: what it calls itself.
    :ivar name: what others call it, as it was told when it joined.
    :ivar outbox: what is not acknowledged: op id -> patch, in order.
    :ivar accepted: op id -> the version that it was acknowledged with.
    :ivar changed_nothing: the op ids of those that were answered so.
    :ivar stopped: whether it waits, after a patch was refused for now.
    :ivar ahead: whether it was told the whole document since the last new entry: entries that were
        on their way before that may follow.
    """

    client_id: str
    truth: Truth
    name: str = ""
    epoch: str | None = None
    version: int = 0
    document: dict[str, Any] = attrs.field(factory=dict)
    next_op: int = 1
    outbox: dict[int, dict[str, Any]] = attrs.field(factory=dict)
    unanswered: dict[str, int] = attrs.field(factory=dict)
    accepted: dict[int, int] = attrs.field(factory=dict)
    changed_nothing: set[int] = attrs.field(factory=set)
    stopped: bool = False
    ahead: bool = False

    def join(self) -> None:
        self.stopped = self.ahead = False
        self.unanswered.clear()
        super().join()

    def look(self) -> None:
        """Take what arrived; who was refused for now tries again."""
        super().look()
        if self.joined and self.stopped:
            self.resume()

    def parameters(self) -> dict[str, Any]:
        params: dict[str, Any] = {"mode": "document", "client_id": self.client_id}
        if self.epoch is not None:
            params |= {"epoch": self.epoch, "version": self.version}
        return params

    def edit(self, random: Random) -> None:
        """
        Make an edit. Most are marked by the number of it, and so change something whatever happens.
        """
        patch = random_patch(random)
        if random.random() < 0.8:
            patch["data"] = {self.client_id: self.next_op}
        self.outbox[self.next_op] = patch
        if self.joined and not self.stopped:
            self._send(self.next_op)
        self.next_op += 1

    def resume(self) -> None:
        """Send again from the oldest that is not acknowledged on, in order."""
        self.stopped = False
        for op_id in list(self.outbox):
            self._send(op_id)

    @property
    def is_at_rest(self) -> bool:
        return self.joined and not self.outbox

    def _send(self, op_id: int) -> None:
        assert self.wire is not None
        payload = {"op_id": op_id, "patch": self.outbox[op_id]}
        self.unanswered[self.wire.push(self.topic, "patch", payload)] = op_id

    def take_join(self, status: str, response: dict[str, Any]) -> None:
        if status == "error":
            if response["retry"]:
                self.join()
            else:
                assert response["code"] == "flow_deleted", response  # phx_close follows
            return
        self.joined = True
        self.name = response["client_id"]
        if response["recovered"]:
            assert response["epoch"] == self.epoch
            self._take_entries(response["entries"])
            assert self.version == response["version"]
        else:
            self._take_whole(response)
        self.resume()

    def take_answer(self, ref: Any, status: str, response: dict[str, Any]) -> None:
        if ref not in self.unanswered:
            return
        op_id = self.unanswered.pop(ref)
        if status == "ok":
            self._accept(op_id, response["version"], response.get("patch") != {})
        elif response["retry"]:
            self.stopped = True
        else:
            assert response["code"] == "flow_deleted", response
            self.outbox.pop(op_id, None)

    def take_event(self, event: str, payload: dict[str, Any]) -> None:
        if event == "entries":
            self._take_entries(payload["entries"])
        elif event == "reset":
            self._take_whole(payload)
            self.ahead = True

    def _accept(self, op_id: int, version: int, changed: bool) -> None:
        patch = self.outbox.pop(op_id, None)
        if changed:
            assert self.truth.holds(version, self.name, op_id), "acknowledged, and not stored"
            assert self.accepted.setdefault(op_id, version) == version
        elif patch is not None:
            assert "data" not in patch or self.truth.knows(self.name, op_id), "an edit is lost"
            self.changed_nothing.add(op_id)

    def _take_entries(self, entries: list[dict[str, Any]]) -> None:
        assert self.epoch is not None
        for entry in entries:
            if self.ahead and entry["version"] <= self.version:
                continue
            assert entry["version"] == self.version + 1, "a gap, or an entry twice"
            self.document = merge(self.document, entry["patch"])
            self.version = entry["version"]
            self.ahead = False
        self._check()

    def _take_whole(self, state: dict[str, Any]) -> None:
        assert state["epoch"] != self.epoch or state["version"] >= self.version, "back in time"
        self.epoch, self.version = state["epoch"], state["version"]
        self.document = state["document"]
        self._check()

    def _check(self) -> None:
        """What is shown is what the store has at that version."""
        assert self.epoch is not None
        durable = self.truth.document(self.epoch, self.version)
        assert encode_document(self.document) == durable, f"{self.client_id} at {self.version}"


@attrs.define(eq=False, kw_only=True)
class RelayReplica(FuzzClient):
    """
    A client in relay mode: it sends all that it shows, and shows what it is sent.

    :ivar count: how many members the flow has, as it was told.
    """

    nodes: dict[str, Any] = attrs.field(factory=dict)
    edges: dict[str, Any] = attrs.field(factory=dict)
    count: int = 0
    unanswered: set[str] = attrs.field(factory=set)

    def parameters(self) -> dict[str, Any]:
        self.unanswered.clear()
        self.nodes, self.edges = {}, {}
        return {}

    def edit(self, random: Random) -> None:
        if not self.joined or self.wire is None:
            return
        shown = {"nodes": self.nodes, "edges": self.edges}
        shown = merge(shown, {k: v for k, v in random_patch(random).items() if k in shown})
        self.nodes = {k: v for k, v in shown["nodes"].items() if "id" in v}
        self.edges = {
            key: edge
            for key, edge in shown["edges"].items()
            if edge.get("source") in self.nodes and edge["target"] in self.nodes
        }
        changes = {"nodes": [*self.nodes.values()], "edges": [*self.edges.values()]}
        self.unanswered.add(self.wire.change(self.topic, changes))

    @property
    def is_at_rest(self) -> bool:
        return self.joined and not self.unanswered

    def shows(self, document: dict[str, Any]) -> bool:
        return same(self.nodes, document["nodes"]) and same(self.edges, document["edges"])

    def take_join(self, status: str, response: dict[str, Any]) -> None:
        if status == "ok":
            self.joined = True
        else:
            self.join()

    def take_answer(self, ref: Any, status: str, response: dict[str, Any]) -> None:
        self.unanswered.discard(ref)
        if status == "error":
            self.join()  # its screen shows what the flow lacks

    def take_event(self, event: str, payload: dict[str, Any]) -> None:
        if event == "flow_update":
            self.nodes = by_id(*payload["changes"]["nodes"])
            self.edges = by_id(*payload["changes"]["edges"])
        elif event in ("client_joined", "client_left"):
            self.count = payload["client_count"]
