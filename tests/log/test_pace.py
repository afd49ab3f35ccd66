"""The pace of appends where the store answers at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from helix.delivery.fanout import MAX_HOLD
from helix.log.edits import Submission
from tests.support.editors import Editor, adding, moving
from tests.support.heldstore import HeldStore
from tests.support.world import World


@pytest.fixture
def store() -> HeldStore:
    return HeldStore()


@pytest.fixture
def world(make_world: Callable[..., World], store: HeldStore) -> World:
    return make_world(store=store, shares_turns=True)


@pytest.fixture
def editors(world: World) -> list[Editor]:
    """Members of a flow that holds a node for each, in a turn in which nothing was appended."""
    editors = [Editor(world, name) for name in "abc"]
    editors[0].patch(1, adding("a", "b", "c"))
    for editor in editors:
        editor.look()
    return editors


def move_each(editors: list[Editor], op_id: int) -> None:
    for editor, name in zip(editors, "abc", strict=False):
        editor.patch(op_id, moving(name, op_id))


def answered(editors: list[Editor]) -> list[int]:
    """How many replies each editor's socket has taken since it looked last."""
    return [bytes(editor.client.socket.taken).count(b"phx_reply") for editor in editors]


def test_log2_first_of_a_turn_is_appended_at_once(editors: list[Editor], store: HeldStore) -> None:
    move_each(editors, 2)
    assert store.groups == [[1], [2]]
    assert answered(editors) == [1, 0, 0]


def test_log2_what_follows_in_the_turn_shares_an_append(
    editors: list[Editor], store: HeldStore, world: World
) -> None:
    move_each(editors, 2)
    world.clock.turn()
    assert store.groups == [[1], [2], [3, 4]]
    assert answered(editors) == [1, 1, 1]
    assert [editor.accepted()[2] for editor in editors] == [2, 3, 4]
    assert all(editor.version == 4 for editor in editors)


def test_log2_quiet_flow_never_waits(editors: list[Editor], store: HeldStore, world: World) -> None:
    for op_id in range(2, 6):
        editors[0].patch(op_id, moving("a", op_id))
        assert store.groups[-1] == [op_id]
        world.clock.turn()


def test_log2_append_of_one_edit_keeps_nobody_waiting(
    editors: list[Editor], store: HeldStore, world: World
) -> None:
    for editor in editors:
        editor.client.socket.cost = 0.0002
    move_each(editors[:2], 2)
    world.clock.turn()
    world.clock.turn()  # the append was the first of this one
    editors[2].patch(2, moving("c", 2))
    assert store.groups == [[1], [2], [3], [4]]


@pytest.mark.parametrize(("cost", "hold"), [(0.0002, 0.0006), (0.01, MAX_HOLD)])
def test_log2_busy_flow_appends_after_as_long_as_the_last_took(
    editors: list[Editor], store: HeldStore, world: World, cost: float, hold: float
) -> None:
    for editor in editors:
        editor.client.socket.cost = cost
    move_each(editors, 2)
    world.clock.turn()
    move_each(editors, 3)
    world.clock.advance(0.9 * hold)
    assert store.groups == [[1], [2], [3, 4]]
    world.clock.advance(0.2 * hold)
    assert store.groups == [[1], [2], [3, 4], [5, 6, 7]]


def test_dom11_answers_and_entries_of_a_shared_append_are_one_write(
    editors: list[Editor], world: World
) -> None:
    move_each(editors, 2)
    before = [editor.client.socket.writes for editor in editors]
    world.clock.turn()
    assert [editor.client.socket.writes for editor in editors] == [n + 1 for n in before]


def test_log2_who_is_no_member_keeps_nobody_waiting(
    editors: list[Editor], store: HeldStore, world: World
) -> None:
    move_each(editors, 2)
    results: list[Any] = []
    edit = Submission(lambda document, _: document.stage(moving("a", 9)))
    world.service.submit("f", edit).addCallback(results.append)
    assert store.groups == [[1], [2], [3, 4, 5]]
    assert [result.version for result in results] == [5]


def test_log2_what_waits_for_a_turn_to_end_is_refused_with_the_flow(
    editors: list[Editor], world: World
) -> None:
    move_each(editors, 2)
    world.flow().deleted()
    assert [editor.refusals() for editor in editors[1:]] == [{2: ("flow_deleted", False)}] * 2
