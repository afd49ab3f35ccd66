"""Who entries are by, over the socket: proven actors, and tags. (docs/spec.md, ACC103 to ACC106)"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred

from helix.access.principal import FlowPattern, Grant, Kind, Principal
from helix.access.roles import Role
from helix.log.verify import verify_flow
from tests.channels.test_access import TOPIC, arrays, as_document, ask, join, make_flow, patch
from tests.support.principals import somebody
from tests.support.world import Client, World

MakeWorld = Callable[..., World]

ADA = somebody(Role.OWNER, name="Ada", id="ada@example.com")
ACTOR = {"id": "ada@example.com", "kind": "person", "name": "Ada"}
AI = {"source": "ai"}


def tagged(principal: Principal, *tags: dict[str, object]) -> Principal:
    """A principal with an editor's grants that set tags."""
    grants = tuple((FlowPattern.parse("*"), Grant(Role.EDITOR, None, one)) for one in tags)
    return attrs.evolve(principal, grants=grants)


def entries(client: Client) -> list[dict[str, Any]]:
    """The entries that a client was told of."""
    return [
        entry
        for event, payload in client.events()
        if event == "entries"
        for entry in payload["entries"]
    ]


def authors(client: Client) -> list[Any]:
    """Who they are by: name, actor, tags; ``None`` where there is nothing of it."""
    return [(one.get("by", ""), one.get("actor"), one.get("tags")) for one in entries(client)]


def edit(client: Client, tags: object, op_id: int = 1) -> tuple[str, Any]:
    change = {"title": f"Title {op_id}"}
    return ask(client, "patch", {"op_id": op_id, "patch": change, "tags": tags})


def test_acc104_entries_tell_who_made_them(world: World) -> None:
    make_flow(world)
    watching = join(world, params=as_document("w"))
    client = join(world, ADA, as_document("c", user={"name": "Eve", "id": "eve"}))
    assert patch(client, {"title": "One"})[0] == "ok"
    assert edit(client, {"run": 7}, 2)[0] == "ok"
    assert authors(watching) == [("Ada", ACTOR, None), ("Ada", ACTOR, {"run": 7})]
    late = world.client()
    log = world.flow().log
    ref = late.join(TOPIC, as_document("l", epoch=log.epoch, version=2))
    world.settle()
    given = late.answer(ref)[1]["entries"]
    assert [(one["actor"], one["tags"]) for one in given] == [(ACTOR, {"run": 7})]


@pytest.mark.parametrize("kind", list(Kind))
def test_acc104_an_actor_tells_what_it_is(world: World, kind: Kind) -> None:
    make_flow(world)
    watching = join(world, params=as_document("w"))
    client = join(world, attrs.evolve(ADA, kind=kind, name=""), as_document("c"))
    assert patch(client, {"title": "One"})[0] == "ok"
    actor = {"id": "ada@example.com", "kind": kind.value, "name": ""}
    assert authors(watching) == [("", actor, None)]


def test_acc104_of_who_is_unknown_nothing_is_told_but_tags(world: World) -> None:
    make_flow(world)
    watching = join(world, params=as_document("w"))
    claims = {"id": "ada@example.com", "name": "Ada"}
    client = join(world, params=as_document("c", user=claims))
    stranger = join(world, attrs.evolve(ADA, id="", name=""), as_document("s"))
    assert patch(client, {"title": "One"})[0] == "ok"
    assert edit(client, AI, 2)[0] == "ok"
    assert patch(stranger, {"title": "Three"})[0] == "ok"
    assert edit(client, {}, 4)[0] == "ok"
    assert edit(client, None, 5)[0] == "ok"
    told = entries(watching)
    assert [("actor" in one, one.get("tags")) for one in told] == [
        (False, None),
        (False, AI),
        *[(False, None)] * 3,
    ]


def test_acc103_tags_of_grants_are_set_on_top(world: World) -> None:
    make_flow(world)
    watching = join(world, params=as_document("w"))
    client = join(world, tagged(ADA, AI, {"team": "a"}), as_document("c"))
    assert edit(client, {"source": "human", "run": 7})[0] == "ok"
    assert patch(client, {"title": "Two"}, 2)[0] == "ok"
    marks = AI | {"team": "a"}
    assert [tags for _, _, tags in authors(watching)] == [marks | {"run": 7}, marks]


@pytest.mark.parametrize(
    "tags",
    [[], "source", 1, True, {"a": "x" * 1024}, {str(n): n for n in range(200)}],
    ids=["list", "text", "number", "flag", "long", "many"],
)
def test_acc103_what_cannot_be_tags_is_refused_alone(world: World, tags: object) -> None:
    make_flow(world)
    watching = join(world, params=as_document("w"))
    client = join(world, ADA, as_document("c"))
    status, error = edit(client, tags)
    assert (status, error["code"]) == ("error", "invalid_parameters")
    assert "tags" in error["reason"] or "object" in error["reason"]
    assert edit(client, {"a": "x" * (1024 - len('{"a":""}'))}, 1)[0] == "ok"
    assert len(entries(watching)) == 1


def test_acc105_the_author_is_who_submitted(make_world: MakeWorld) -> None:
    """Not who the connection's client is by the time that the edit is in the log."""
    world = make_world()
    make_flow(world)
    watching = join(world, params=as_document("w"))
    client = join(world, ADA, as_document("c"))
    first = client.push(TOPIC, "patch", {"op_id": 1, "patch": {"title": "One"}})
    client.connection.become(tagged(attrs.evolve(ADA, name="Countess"), AI))
    second = client.push(TOPIC, "patch", {"op_id": 2, "patch": {"title": "Two"}})
    world.settle()
    answers = {one.ref: one.payload["status"] for one in client.received() if one.ref}
    assert answers == {first: "ok", second: "ok"}
    countess = {**ACTOR, "name": "Countess"}
    assert [(actor, tags) for _, actor, tags in authors(watching)] == [
        (ACTOR, None),
        (countess, AI),
    ]


def test_acc106_edits_of_relay_members_have_actors_and_the_tags_of_grants(world: World) -> None:
    make_flow(world)
    watching = join(world, params=as_document("w"))
    relay = join(world, tagged(ADA, AI))
    changes = arrays("new")
    assert ask(relay, "flow_change", {"changes": changes, "tags": {"run": 7}})[0] == "ok"
    assert authors(watching) == [("Ada", ACTOR, AI)]


def test_acc101_the_log_of_several_authors_verifies(world: World) -> None:
    make_flow(world)
    client = join(world, ADA, as_document("c"))
    assert edit(client, {"run": 7})[0] == "ok"
    relay = join(world, tagged(ADA, AI))
    assert ask(relay, "flow_change", {"changes": arrays("new")})[0] == "ok"
    verified: list[int] = []
    Deferred.fromCoroutine(verify_flow(world.store, "f")).addCallback(verified.append)
    world.settle()
    assert verified == [3]
