"""The ``Presence`` class of stock phoenix.js, as a document member."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.clients.phoenix import Channel, Socket

Connect = Callable[..., Socket]


def join_document(socket: Socket, flow_id: str, client_id: str) -> Channel:
    """Join in document mode, with the client's ``Presence`` in place."""
    user = {"name": client_id.title(), "color": "#aabbcc"}
    channel = socket.join(
        f"flow:{flow_id}", {"mode": "document", "client_id": client_id, "user": user}
    )
    channel.watch_presence()
    assert channel.join_reply().status == "ok"
    return channel


def keys(present: list[dict[str, Any]]) -> set[str]:
    """Who is present, by key."""
    return {presence["key"] for presence in present}


def selections(present: list[dict[str, Any]]) -> list[Any]:
    """What those present have selected, as far as they say so."""
    return [meta["selection"] for one in present for meta in one["metas"] if "selection" in meta]


def test_presence_follows_joins_changes_and_leaves(connect: Connect, flow_id: str) -> None:
    """Everybody's ``Presence`` shows who is there, what they do, and that they left."""
    ada = join_document(connect(), flow_id, "ada")
    ada.presence(lambda present: keys(present) == {"ada"})
    leaver = connect()
    bob = join_document(leaver, flow_id, "bob")
    for member in (ada, bob):
        member.presence(lambda present: keys(present) == {"ada", "bob"})

    bob.push("presence", {"name": "Bob", "color": "#aabbcc", "selection": ["n1"]})
    for member in (ada, bob):
        present = member.presence(lambda present: selections(present) == [["n1"]])
        assert [len(one["metas"]) for one in present] == [1, 1]

    bob.leave()
    ada.presence(lambda present: keys(present) == {"ada"})
