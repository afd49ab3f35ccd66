"""Where members point, pure: the newest of each, and what can be a cursor."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helix.errors import InvalidParameters
from helix.members.cursors import (
    MAX_CURSOR_BYTES,
    MAX_MOVING,
    Cursor,
    Cursors,
    Moving,
    Shift,
    parse_cursor,
)


def moved(cursors: Cursors) -> Any:
    """What is told next."""
    told = cursors.moved()
    return None if told is None else json.loads(told[1])


def current(cursors: Cursors, present: tuple[str, ...] = ()) -> Any:
    told = cursors.current(present)
    return None if told is None else json.loads(told)


def at(x: float) -> Cursor:
    return Cursor(x, 0)


@pytest.mark.parametrize(
    ("text", "cursor"),
    [
        ('{"x":1,"y":-2.5}', Cursor(1, -2.5)),
        ('{"x":1,"y":2,"moving":{}}', Cursor(1, 2)),
        ('{"x":1,"y":2,"other":[]}', Cursor(1, 2)),
        ('{"x":1,"y":2,"moving":{"n":{"x":3,"y":4}}}', Cursor(1, 2, {"n": Moving(3, 4)})),
        (
            '{"x":1,"y":2,"moving":{"n":{"x":3,"y":4,"width":5,"height":6.5}}}',
            Cursor(1, 2, {"n": Moving(3, 4, 5, 6.5)}),
        ),
        ('{"x":1,"y":2,"moved":{"x":3,"y":4}}', Cursor(1, 2, moved=Shift(3, 4))),
        ("{}", None),
        ('{"x":null,"y":null}', None),
    ],
)
def test_cur1_cursor_that_can_be(text: str, cursor: Cursor | None) -> None:
    assert parse_cursor(text.encode()) == cursor


def moving(count: int) -> str:
    nodes = {f"n{number}": {"x": 0, "y": 0} for number in range(count)}
    return json.dumps({"x": 1, "y": 2, "moving": nodes})


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("null", "object"),
        ("[1,2]", "object"),
        ('{"x":1}', "both"),
        ('{"y":1}', "both"),
        ('{"moving":{"n":{"x":1,"y":1}}}', "both"),
        ('{"x":1,"y":"2"}', r"$.y"),
        ('{"x":1,"y":true}', r"$.y"),
        ('{"x":1,"y":2,"moving":{"n":{"x":1,"y":1,"width":"5"}}}', r"$.moving[...].width"),
        ('{"x":1e999,"y":1}', r"$.x"),
        ('{"x":1,"y":2,"moving":{"n":{"x":1}}}', "moving"),
        ('{"x":1,"y":2,"moving":{"n":null}}', "moving"),
        ('{"moved":{"x":1,"y":1}}', "both"),
        ('{"x":1,"y":2,"moved":{"x":1}}', "moved"),
        ('{"x":1,"y":2,"moving":{"":{"x":1,"y":1}}}', "id of a node"),
        ('{"x":1,"y":2,"moving":{"__proto__":{"x":1,"y":1}}}', "id of a node"),
        (json.dumps({"x": 1, "y": 2, "moving": {"n" * 256: {"x": 1, "y": 1}}}), "id of a node"),
        (moving(MAX_MOVING + 1), f"{MAX_MOVING + 1} nodes"),
        (json.dumps({"x": 1, "y": 2, "z": "z" * MAX_CURSOR_BYTES}), f"{MAX_CURSOR_BYTES}"),
    ],
)
def test_cur2_cursor_that_cant_be(text: str, named: str) -> None:
    with pytest.raises(InvalidParameters) as refused:
        parse_cursor(text.encode())
    assert named in refused.value.message


def test_cur2_as_many_nodes_as_may_be_moved() -> None:
    cursor = parse_cursor(moving(MAX_MOVING).encode())
    assert cursor is not None
    assert len(cursor.moving) == MAX_MOVING


def test_cur3_only_the_newest_of_each_is_told_and_once() -> None:
    cursors = Cursors()
    for x in range(5):
        cursors.move("A", "a", at(x))
    cursors.move("B", "b", Cursor(1, 2, {"n": Moving(3, 4)}))
    assert cursors.moves == 6
    told = {"a": {"x": 4, "y": 0}, "b": {"x": 1, "y": 2, "moving": {"n": {"x": 3, "y": 4}}}}
    assert moved(cursors) == told
    assert (moved(cursors), cursors.moves) == (None, 0)
    assert current(cursors) == told


def test_cur3_who_does_not_move_is_not_told() -> None:
    cursors = Cursors()
    assert cursors.move("A", "a", at(1))
    cursors.moved()
    assert not cursors.move("A", "a", at(1))
    assert not cursors.move("B", "b", None)
    assert moved(cursors) is None


def test_cur3_what_is_dragged_is_told_as_often_as_it_is_said() -> None:
    cursors = Cursors()
    held = Cursor(1, 2, {"n": Moving(3, 4)})
    for _ in range(2):
        assert cursors.move("A", "a", held)
        assert moved(cursors) == {"a": {"x": 1, "y": 2, "moving": {"n": {"x": 3, "y": 4}}}}


def test_cur4_gone_is_null() -> None:
    cursors = Cursors()
    cursors.move("A", "a", at(1))
    cursors.move("B", "b", at(2))
    cursors.moved()
    assert cursors.move("A", "a", None)
    assert cursors.leave("B", "b")
    assert not cursors.leave("B", "b")
    assert moved(cursors) == {"a": None, "b": None}
    assert current(cursors) is None
    assert current(cursors, ("a",)) == {"a": None}


def test_cur4_old_channel_of_a_client_takes_nothing_with_it() -> None:
    """The client is back before its old connection was found to be dead."""
    cursors = Cursors()
    cursors.move("old", "a", at(1))
    cursors.move("new", "a", at(2))
    assert not cursors.leave("old", "a")
    assert moved(cursors) == {"a": {"x": 2, "y": 0}}
    assert cursors.leave("new", "a")


def test_cur8_many_nodes_that_go_together_are_told_once() -> None:
    cursors = Cursors()
    together = {f"n{number}": Moving(number, 0) for number in range(5000)}
    cursors.move("A", "a", Cursor(0, 0, together))
    assert len(moved(cursors)["a"]["moving"]) == 5000
    cursors.move("A", "a", Cursor(1, 1, moved=Shift(1, 1)))
    assert moved(cursors) == {"a": {"x": 1, "y": 1, "moved": {"x": 1, "y": 1}}}
    whole = current(cursors)["a"]
    assert (len(whole["moving"]), whole["moved"]) == (5000, {"x": 1, "y": 1})
    assert cursors.move("A", "a", Cursor(1, 1, moved=Shift(1, 1)))
    assert moved(cursors) == {"a": {"x": 1, "y": 1, "moved": {"x": 1, "y": 1}}}
    cursors.move("A", "a", Cursor(2, 2))
    assert moved(cursors) == {"a": {"x": 2, "y": 2}}
    cursors.move("A", "a", Cursor(3, 3, together))
    assert len(moved(cursors)["a"]["moving"]) == 5000


def test_cur8_what_was_not_told_yet_is_told_with_how_far_it_came() -> None:
    cursors = Cursors()
    cursors.move("A", "a", Cursor(0, 0, {"n": Moving(5, 0)}))
    cursors.move("A", "a", Cursor(1, 1, moved=Shift(1, 1)))
    whole = {"x": 1, "y": 1, "moving": {"n": {"x": 5, "y": 0}}, "moved": {"x": 1, "y": 1}}
    assert moved(cursors) == {"a": whole}


def test_cur8_nothing_that_another_channel_moved_is_shifted() -> None:
    cursors = Cursors()
    cursors.move("A", "a", Cursor(1, 1, moved=Shift(1, 1)))
    assert moved(cursors) == {"a": {"x": 1, "y": 1}}
    cursors.move("A", "a", Cursor(0, 0, {"n": Moving(5, 0)}))
    cursors.move("B", "a", Cursor(1, 1, moved=Shift(1, 1)))
    assert moved(cursors) == {"a": {"x": 1, "y": 1}}


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.integers(0, 2))),
        )
    )
)
def test_cur3_who_applies_what_is_told_holds_what_is_current(steps: list[Any]) -> None:
    """``None`` is a tick."""
    cursors, shown = Cursors(), {}
    newest: dict[str, Any] = {}
    for step in [*steps, None]:
        if step is None:
            shown.update(moved(cursors) or {})
            shown = {key: value for key, value in shown.items() if value is not None}
            assert shown == newest == (current(cursors) or {})
        else:
            client_id, x = step
            cursors.move(client_id, client_id, None if x is None else at(x))
            newest.pop(client_id, None)
            if x is not None:
                newest[client_id] = {"x": x, "y": 0}
