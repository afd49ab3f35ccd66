"""Small clients in both modes for seeded runs, which check what they are told."""

from __future__ import annotations

from random import Random
from typing import Any

import attrs

from helix.documents.document import merge
from helix.documents.merge_patch import same
from tests.support.flowdata import by_id
from tests.support.world import Client, Message, World

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
        {"nodes": {node: {**whole, "parentId": other}}},
        {"nodes": {node: {"parentId": other}}},
        {"nodes": {node: {"parentId": other, "position": {"y": random.randrange(99)}}}},
        {"nodes": {node: {"parentId": None}}},
        {"edges": {edge: {"id": edge, "source": node, "target": other}}},
        {"edges": {edge: {"target": other}}},
        {"edges": {edge: None}},
        {"title": f"{random.randrange(99)}"},
    ]
    patch = random.choice(patches)
    if random.random() < 0.2:
        return merge(patch, random.choice(patches)) or patch
    return patch


@attrs.define(eq=False, kw_only=True)
class FuzzClient:
    """
    A client that joins, and joins again.

    :ivar topic: what it joins.
    :ivar wire: its connection, if it has one.
    :ivar lingers: whether it takes a while to learn that the server has closed its connection, and
        goes on meanwhile.
    """

    topic: str = TOPIC
    lingers: bool = False
    wire: Client | None = None
    joined: bool = False
    join_ref: str = ""

    def connect(self, world: World, room: int | None) -> None:
        self.wire = world.client()
        self.wire.answers_close = True
        if self.lingers:
            self.wire.close_delay = 0.2
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
        if wire.lost or (wire.close_code is not None and not self.lingers):
            self.cut()

    @property
    def is_at_rest(self) -> bool:
        """Whether it is joined, and waits for nothing."""
        raise NotImplementedError

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


@attrs.define(eq=False, kw_only=True)
class Caller(RelayReplica):
    """
    A client in relay mode that sends, beside edits, what is none.

    :ivar calls: what of such it was sent by anybody.
    """

    calls: list[str] = attrs.field(factory=list)

    def call(self, word: str) -> None:
        """Send a word to all in relay mode."""
        if self.joined and self.wire is not None:
            self.wire.change(self.topic, {"call": word})

    def take_event(self, event: str, payload: dict[str, Any]) -> None:
        if event == "flow_update" and "call" in payload["changes"]:
            self.calls.append(payload["changes"]["call"])
        else:
            super().take_event(event, payload)
