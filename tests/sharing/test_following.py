"""Nodes that stood still, or were cut off, learn before they judge. (docs/spec.md, NOD153)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from twisted.internet.defer import fail

from helix.access.roles import Role
from helix.access.sharing import FlowAccess
from helix.documents.merge_patch import JsonObject
from helix.errors import StoreUnavailable
from tests.sharing.test_service import (
    BOTH,
    DOCUMENT,
    EDITOR,
    EMPTY,
    TOPIC,
    Grant,
    by,
    give,
    join,
    learn,
    person,
)
from tests.support.heldstore import HeldStore
from tests.support.world import Client, World

LONG = 30.0
"""Seconds for which a process stands still."""

LISTED = attrs.evolve(EMPTY, members={"ada": EDITOR, "bob": EDITOR})

LOOKS_ON = attrs.evolve(EMPTY, members={"ada": Grant(Role.VIEWER), "bob": EDITOR})


@pytest.fixture
def world() -> Iterator[World]:
    """A world with a stored flow ``f`` that ``ada`` and ``bob`` may edit."""
    world = World(store=HeldStore())
    world.library.create({"title": "Old"}, "f", by("nobody-here"))
    world.access.startService()
    give(world, LISTED)
    learn(world)
    yield world
    world.access.stopService()
    assert not world.failures


def stand_still(world: World, access: FlowAccess) -> None:
    """Let another process change what the flow gives, and time pass without a turn."""
    give(world, access)
    world.clock.rightNow += LONG


def edit(client: Client, params: object) -> str:
    if params is None:
        return client.change(TOPIC, {"nodes": [{"id": "n", "position": {"x": 0, "y": 0}}]})
    return client.push(TOPIC, "patch", {"op_id": 1, "patch": {"title": "New"}})


def shown(world: World) -> JsonObject:
    """The flow as it is open."""
    content: JsonObject = world.flow().log.document.content
    return content


def cut_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store not tell what is done to access."""
    monkeypatch.setattr(world.store.access, "changes", lambda *_: fail(StoreUnavailable()))


@BOTH
def test_nod153_what_comes_after_standing_still_is_judged_by_what_was_changed_meanwhile(
    world: World, params: Any
) -> None:
    ada, _ = join(world, person("ada"), params)
    stand_still(world, LOOKS_ON)
    ref = edit(ada, params)
    world.settle()
    if params is not None:
        status, told = ada.answer(ref)
        assert (status, told["code"]) == ("error", "forbidden")
    assert shown(world)["title"] == "Old"
    assert shown(world)["nodes"] == {}


def test_nod153_who_may_still_edit_waits_only_for_the_question(world: World) -> None:
    ada, _ = join(world, person("ada"), DOCUMENT)
    stand_still(world, LISTED)
    ref = edit(ada, DOCUMENT)
    assert not ada.received()
    world.settle()
    assert shown(world)["title"] == "New"
    ref = ada.push(TOPIC, "patch", {"op_id": 2, "patch": {"title": "Newer"}})
    assert ada.answer(ref) == ("ok", {"version": 3})  # at once, as what was learned is recent


def test_nod153_edits_are_refused_for_now_where_the_store_can_not_tell(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, _ = join(world, person("ada"), DOCUMENT)
    stand_still(world, LOOKS_ON)
    with monkeypatch.context() as patched:
        cut_off(world, patched)
        ref = edit(ada, DOCUMENT)
        world.settle()
        status, told = ada.answer(ref)
        assert (status, told["code"], told["retry"]) == ("error", "store_unavailable", True)
    ref = edit(ada, DOCUMENT)  # before the next question
    assert not ada.received()
    learn(world)
    assert shown(world)["title"] == "Old"
    assert ("role", {"role": "viewer", "may": ["read"]}) in ada.events()


def test_nod153_a_change_that_is_known_of_is_read_before_edits_are_judged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, _ = join(world, person("ada"), DOCUMENT)
    give(world, LOOKS_ON)
    with monkeypatch.context() as patched:
        patched.setattr(world.store.access, "read", lambda *_: fail(StoreUnavailable()))
        learn(world)
        ref = edit(ada, DOCUMENT)
        world.settle()
        status, told = ada.answer(ref)
        assert (status, told["code"]) == ("error", "store_unavailable")
    ref = edit(ada, DOCUMENT)
    world.settle()
    status, told = ada.answer(ref)
    assert (status, told["code"]) == ("error", "forbidden")


def test_nod153_members_are_told_nothing_new_before_it_is_known_whether_they_may_see_it(
    world: World,
) -> None:
    there = World(store=HeldStore(world.store), seed=1)
    ada, _ = join(world, person("ada"), DOCUMENT)
    bob, _ = join(world, person("bob"), DOCUMENT | {"client_id": "b"})
    for client in (ada, bob):
        client.received()
    stand_still(world, attrs.evolve(EMPTY, members={"bob": EDITOR}))
    there.library.patch("f", {"title": "Secret"})
    there.settle()
    world.service.refresh("f")
    world.settle()
    told = [event for event, _ in ada.events()]
    assert "access_revoked" in told
    assert "entries" not in told
    assert "entries" in [event for event, _ in bob.events()]
    there.end()


def test_nod153_who_waits_when_the_service_stops_is_refused(world: World) -> None:
    ada, _ = join(world, person("ada"), DOCUMENT)
    world.clock.rightNow += LONG
    ref = edit(ada, DOCUMENT)
    world.access.stopService()
    status, told = ada.answer(ref)
    assert (status, told["code"]) == ("error", "store_unavailable")
    world.access.startService()
