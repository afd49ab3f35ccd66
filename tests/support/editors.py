"""A client in document mode, in a world on a clock."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from helix.documents.document import merge
from tests.support.publicids import Names
from tests.support.world import Client, Message, World

FLOW = "flow:f"

NAMES = Names()


def node(node_id: str, x: float = 0) -> dict[str, Any]:
    return {"id": node_id, "position": {"x": x, "y": 0}, "data": {}}


def adding(*node_ids: str) -> dict[str, Any]:
    """The patch that adds nodes."""
    return {"nodes": {node_id: node(node_id) for node_id in node_ids}}


def moving(node_id: str, x: float) -> dict[str, Any]:
    return {"nodes": {node_id: {"position": {"x": x}}}}


def join(client: Client, client_id: str = "c", **params: Any) -> dict[str, Any]:
    """Join in document mode; give the reply's response."""
    NAMES.learn(client_id)
    ref = client.join(FLOW, {"mode": "document", "client_id": client_id, **params})
    status, response = client.answer(ref)
    assert status == "ok", response
    return dict(NAMES.read(response))


def refused(client: Client, params: dict[str, Any]) -> dict[str, Any]:
    status, response = client.answer(client.join(FLOW, {"mode": "document", **params}))
    assert status == "error"
    return response


class Editor:
    """A client in document mode: what it was answered, and the document that it was told."""

    def __init__(self, world: World, client_id: str, **params: Any) -> None:
        self.world = world
        self.client = world.client()
        NAMES.learn(client_id)
        ref = self.client.join(FLOW, {"mode": "document", "client_id": client_id, **params})
        reply, *more = self.client.received()
        assert (reply.event, reply.ref, reply.payload["status"]) == ("phx_reply", ref, "ok"), reply
        self.joined = dict(NAMES.read(reply.payload["response"]))
        self.epoch, self.version = self.joined["epoch"], self.joined["version"]
        self.document = self.joined.get("document")
        self.answers: dict[int, tuple[str, dict[str, Any]]] = {}
        self.entries: list[dict[str, Any]] = []
        self.events: list[str] = []
        self._ops: dict[str, int] = {}
        self._take(more)

    def patch(self, op_id: int, patch: object, **rest: object) -> None:
        payload = {"op_id": op_id, "patch": patch, **rest}
        self._ops[self.client.push(FLOW, "patch", payload)] = op_id

    def look(self) -> None:
        """Take what arrived: entries have to be contiguous."""
        self.world.settle()
        self._take(self.client.received())

    def _take(self, messages: Iterable[Message]) -> None:
        for message in messages:
            payload = NAMES.read(message.payload)
            if message.event == "phx_reply" and message.ref in self._ops:
                op_id = self._ops.pop(message.ref)
                self.answers[op_id] = (payload["status"], payload["response"])
            elif message.event == "entries":
                for entry in payload["entries"]:
                    assert entry["version"] == self.version + 1
                    self.version = entry["version"]
                    self.entries.append(entry)
                    self.document = merge(self.document, entry["patch"])
            elif message.event == "reset":
                self.epoch, self.version = payload["epoch"], payload["version"]
                self.document = payload["document"]
                self.events.append("reset")
            elif not message.event.startswith("presence_"):
                self.events.append(message.event)

    def accepted(self) -> dict[int, int]:
        """The versions that the patches were acknowledged with."""
        self.look()
        assert all(status == "ok" for status, _ in self.answers.values()), self.answers
        return {op_id: response["version"] for op_id, (_, response) in self.answers.items()}

    def refusals(self) -> dict[int, tuple[str, bool]]:
        """The codes that patches were refused with, and whether to send them again."""
        self.look()
        return {
            op_id: (response["code"], response["retry"])
            for op_id, (status, response) in self.answers.items()
            if status == "error"
        }


def logged(world: World) -> list[tuple[str | None, int | None]]:
    """Who wrote the entries of the flow's log."""
    stored = world.store.load("f").result  # type: ignore[attr-defined]  # it has fired
    return [(NAMES.read(entry.client_id), entry.op_id) for entry in stored.entries]
