"""What others see of a client, and what it keeps to itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from helix.documents.ids import public_id
from helix.errors import StoreUnavailable
from helix.members.awareness import TICK
from tests.support.editors import FLOW, Editor, join, refused
from tests.support.heldstore import HeldStore
from tests.support.world import Client, World

MakeWorld = Callable[..., World]


@pytest.fixture
def store() -> HeldStore:
    return HeldStore()


@pytest.fixture
def world(make_world: MakeWorld, store: HeldStore) -> World:
    return make_world(store=store)


SECRET = "what Ada's page calls itself"
ADA = public_id(SECRET)


def rest(world: World) -> None:
    world.settle()
    world.clock.advance(TICK)
    world.settle()


def events(client: Client) -> list[str]:
    return [event for event, _ in client.events()]


def test_idn1_nobody_is_told_what_a_client_calls_itself(world: World) -> None:
    """Not in entries, presence or cursors, not on joining, not by the store."""
    watcher = world.client()
    join(watcher, "watcher")
    watcher.push(FLOW, "patch", {"op_id": 1, "patch": {"description": "long" * 100}})
    rest(world)
    watcher.received()
    ada = world.client()
    ada.join(FLOW, {"mode": "document", "client_id": SECRET, "user": {"name": "Ada"}})
    rest(world)
    ada.push(FLOW, "patch", {"op_id": 1, "patch": {"title": "t"}})
    ada.push(FLOW, "cursor", {"x": 1, "y": 2})
    rest(world)
    told = watcher.received()
    entries = [m.payload["entries"] for m in told if m.event == "entries"]
    assert [entry["client_id"] for entry in entries[0]] == [ADA]
    cursors = [m.payload for m in told if m.event == "cursors"]
    assert list(cursors[0]) == [ADA]
    diff = next(m.payload for m in told if m.event == "presence_diff")
    assert list(diff["joins"]) == [ADA]
    assert diff["joins"][ADA]["metas"][0]["client_id"] == ADA
    late = join(world.client(), "late", epoch=world.flow().log.epoch, version=1)
    assert late["entries"][0]["client_id"] == ADA
    stored = world.store.load("f").result  # type: ignore[attr-defined]  # it has fired
    assert stored.entries[1].client_id == ADA
    frames = [m.payload for m in [*told, *ada.received()]]
    assert SECRET not in json.dumps([frames, late, str(stored)])


def test_idn1_join_tells_a_client_what_others_see_of_it(world: World) -> None:
    client = world.client()
    _, response = client.answer(client.join(FLOW, {"mode": "document", "client_id": SECRET}))
    assert response["client_id"] == ADA
    assert len(ADA) == 22


def test_idn2_public_id_gives_no_power_over_a_client(world: World, store: HeldStore) -> None:
    """Whoever joins with it is somebody else, whatever they send."""
    ada = Editor(world, SECRET)
    ada.patch(1, {"title": "Ada's"})
    hijacker = Editor(world, ADA)
    hijacker.patch(2**53, {"description": "mine"})
    hijacker.patch(2, {"data": {"x": 1}})
    ada.patch(2, {"title": "Ada's again"})
    assert ada.accepted() == {1: 1, 2: 4}
    assert ada.events == []
    assert hijacker.joined["last_op_id"] is None
    hijacker.look()
    assert hijacker.document["title"] == "Ada's again"


def test_idn3_client_that_is_back_takes_its_own_place_at_once(
    world: World, store: HeldStore
) -> None:
    """Also in a flow that is full; what it had under way is stored and told."""
    old = Editor(world, SECRET)
    other = Editor(world, "other")
    store.holding = True
    old.patch(1, {"title": "t"})
    new = Editor(world, SECRET)
    assert world.flow().client_count == 2
    assert events(old.client) == ["replaced", "phx_close"]
    store.let_through()
    store.holding = False
    for one in (new, other):
        one.look()
        assert one.document["title"] == "t"
    old.patch(2, {"title": "too late"})
    assert old.client.events()[0][1]["response"] == {"reason": "unmatched topic"}
    old.client.cut()
    assert world.flow().client_count == 2
    new.patch(2, {"title": "u"})
    assert new.accepted() == {2: 2}


def test_idn3_full_flow_takes_who_is_in_it_already(make_world: MakeWorld) -> None:
    world = make_world(max_clients=2)
    for client_id in (SECRET, "other", SECRET):
        join(world.client(), client_id)
    assert refused(world.client(), {"client_id": "third"})["code"] == "max_clients_reached"
    join(world.client(), "other")
    assert world.flow().client_count == 2


def test_idn3_join_that_fails_replaces_nobody(world: World, store: HeldStore) -> None:
    ada = Editor(world, SECRET)
    ada.patch(1, {"title": "t"})
    ada.look()
    store.fail("head", StoreUnavailable())
    params: dict[str, Any] = {"client_id": SECRET, "epoch": ada.epoch, "version": 9}
    assert refused(world.client(), params)["retry"]
    ada.patch(2, {"title": "u"})
    assert ada.accepted() == {1: 1, 2: 2}


def test_idn3_relay_members_are_told_of_both(world: World) -> None:
    relay = world.client()
    relay.join(FLOW)
    join(world.client(), SECRET)
    rest(world)
    relay.received()
    join(world.client(), SECRET)
    rest(world)
    assert [(event, payload["client_count"]) for event, payload in relay.events()] == [
        ("client_left", 1),
        ("client_joined", 2),
    ]


def test_idn4_end_of_the_old_connection_takes_no_pointer_from_the_new(world: World) -> None:
    watcher, old = world.client(), world.client()
    join(watcher, "watcher")
    join(old, SECRET)
    old.push(FLOW, "cursor", {"x": 1, "y": 2})
    rest(world)
    new = world.client()
    join(new, SECRET)
    new.push(FLOW, "cursor", {"x": 3, "y": 4})
    rest(world)
    assert watcher.events()[-1] == ("cursors", {ADA: {"x": 3, "y": 4}})
    old.cut()
    rest(world)
    assert watcher.events() == []


def test_idn4_who_is_back_points_nowhere_until_it_says_so(world: World) -> None:
    watcher, old = world.client(), world.client()
    join(watcher, "watcher")
    join(old, SECRET)
    old.push(FLOW, "cursor", {"x": 1, "y": 2})
    rest(world)
    join(world.client(), SECRET)
    rest(world)
    assert watcher.events()[-1] == ("cursors", {ADA: None})
