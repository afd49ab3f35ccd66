"""Rosters of other nodes, places and cursors across nodes, pure. (docs/spec.md, NOD30 to NOD39)"""

from __future__ import annotations

import json
from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helix.members.cursors import Cursor, Cursors, Moving, Shift
from helix.members.elsewhere import Elsewhere
from helix.members.places import Place, Places
from helix.members.pointing import MAX_DRAG_BYTES, REPEAT, Pointing
from helix.members.presence import Presence
from helix.members.roster import (
    MAX_AHEAD,
    MAX_ROSTER,
    Changes,
    OwnRoster,
    Piece,
    Pointer,
    Roster,
    Shown,
)
from tests.support.phoenixpresence import PhoenixPresence


def shown(client_id: str, stamp: int = 1, key: str = "", **more: object) -> Shown:
    meta = {"client_id": client_id, "name": client_id, "color": "", **more}
    return Shown(key or client_id, client_id, json.dumps(meta).encode(), stamp)


class Stage:
    """What is shown of a roster."""

    def __init__(self) -> None:
        self.members: dict[int, Shown] = {}

    def appeared(self, member: int, shown: Shown) -> None:
        assert member not in self.members
        self.members[member] = shown

    def changed(self, member: int, shown: Shown) -> None:
        assert self.members[member] != shown
        self.members[member] = shown

    def vanished(self, member: int) -> None:
        del self.members[member]


# NOD31: what is told in numbers


def test_nod31_changes_are_taken_in_their_order_and_once() -> None:
    stage = Stage()
    roster = Roster(stage)
    own = OwnRoster()
    told = []
    for number in range(4):
        own.put(number, shown(f"c{number}"))
        own.counted(number + 1)
        told.append(own.changes(inf))
    own.remove(0)
    told.append(own.changes(inf))
    assert own.changes(inf) is None
    for changes in (told[2], told[4], told[0], told[0]):
        assert changes is not None
        roster.take(changes)
    assert roster.is_behind
    assert list(stage.members) == [0]
    for changes in (told[1], told[3], told[0]):
        assert changes is not None
        roster.take(changes)
    assert not roster.is_behind
    assert sorted(stage.members) == [1, 2, 3]
    assert roster.count == 4


def test_nod31_a_lost_last_change_is_noticed_by_its_number() -> None:
    roster = Roster(Stage())
    assert not roster.is_behind
    roster.reach(3)
    assert roster.is_behind
    roster.take_piece(Piece(3, 1, 0, 1, {1: shown("a")}))
    assert not roster.is_behind
    roster.reach(2)
    assert not roster.is_behind


def test_nod34_a_whole_comes_in_pieces_of_one_number() -> None:
    stage = Stage()
    roster = Roster(stage)
    own = OwnRoster()
    for number in range(20):
        own.put(number, shown(f"c{number}", text="x" * 400))
    own.counted(20)
    assert own.changes(inf) is not None
    pieces = own.pieces(1000)
    assert len(pieces) > 5
    for piece in pieces[1:]:
        roster.take_piece(piece)
        roster.take_piece(piece)
    assert not stage.members
    late = Piece(0, 3, 0, 1, {})
    roster.take_piece(late)
    roster.take_piece(pieces[0])
    assert stage.members == {number: one for p in pieces for number, one in p.shown.items()}
    assert roster.count == 20


def test_nod34_a_newer_whole_takes_the_place_of_an_older_one() -> None:
    stage = Stage()
    roster = Roster(stage)
    roster.take_piece(Piece(5, 2, 0, 2, {1: shown("a")}))
    roster.take_piece(Piece(6, 1, 0, 1, {2: shown("b")}))
    roster.take_piece(Piece(5, 2, 1, 2, {3: shown("c")}))
    assert list(stage.members) == [2]


def test_nod34_of_many_changes_some_are_left_for_the_next_time() -> None:
    own = OwnRoster()
    for number in range(10):
        own.put(number, shown(f"c{number}", text="x" * 400))
    first = own.changes(1000)
    assert first is not None
    assert 1 < len(first.shown) < 10
    own.put(9, shown("new"))
    rest: dict[int, Shown] = {}
    while (changes := own.changes(1000)) is not None:
        rest.update(changes.shown)
    assert {*first.shown, *rest} == set(range(10))
    assert rest[9] == shown("new")


def test_nod31_who_came_and_went_between_is_not_told() -> None:
    own = OwnRoster()
    own.put(1, shown("a"))
    own.remove(1)
    assert own.changes(inf) is None
    assert own.number == 0


def test_nod41_what_waits_is_bounded() -> None:
    roster = Roster(Stage())
    for number in range(2, 10 * MAX_AHEAD):
        roster.take(Changes(number, 0, {}))
    assert len(roster._ahead) == MAX_AHEAD
    many = dict.fromkeys(range(MAX_ROSTER + 5), shown("a"))
    roster.take_piece(Piece(10**6, 0, 0, 1, many))
    assert len(roster._members) == MAX_ROSTER
    assert not roster._ahead


def act(own: OwnRoster, random: Random, under_way: list[Changes | Piece]) -> None:
    """Something happens to a roster, or is told of it."""
    chance = random.random()
    member = random.randrange(8)
    if chance < 0.4:
        own.put(member, shown(f"c{member}", n=random.randrange(9)))
        own.counted(random.randrange(9))
    elif chance < 0.55:
        own.remove(member)
    elif chance < 0.7:
        under_way += own.pieces(random.choice([100, 10_000]))
    else:
        changes = own.changes(random.choice([1, inf]))
        under_way += [changes] * random.choice([0, 1, 1, 2]) if changes else []


def arrive(roster: Roster, told: Changes | Piece) -> None:
    if isinstance(told, Changes):
        roster.take(told)
    else:
        roster.take_piece(told)


@given(st.integers(0, 2**32))
def test_nod31_whatever_befalls_the_messages_the_last_whole_heals_it(seed: int) -> None:
    random = Random(seed)
    own, stage = OwnRoster(), Stage()
    roster = Roster(stage)
    under_way: list[Changes | Piece] = []
    for _ in range(random.randrange(60)):
        act(own, random, under_way)
        if under_way and random.random() < 0.5:
            told = under_way.pop(random.randrange(len(under_way)))
            if random.random() < 0.8:
                arrive(roster, told)
    own.changes(inf)
    for told in [*own.pieces(100), *under_way]:
        arrive(roster, told)
    assert not roster.is_behind
    assert stage.members == own._members
    assert roster.count == own._told_count
    roster.clear()
    assert not stage.members


# NOD37, NOD38: one place for each client


class Seen:
    """Two nodes' members as a third one shows them."""

    def __init__(self) -> None:
        self.presence = Presence("p")
        self.places = Places(self.presence)
        self.cursors = Cursors()
        self.displaced: list[Place] = []
        self.more: list[bool] = []
        self.client = PhoenixPresence()
        self.client.receive("presence_state", b"{}")
        self.elsewhere = Elsewhere(
            self.places, self.cursors, lambda: None, self.displaced.append, self.more.append
        )

    def names(self) -> list[str]:
        """What a client sees, after one diff."""
        diff = self.presence.diff()
        if diff is not None:
            self.client.receive("presence_diff", diff.payload)
        return [meta["name"] for one in self.client.state.values() for meta in one["metas"]]


def test_nod37_of_two_places_the_later_is_shown_in_whatever_order_they_are_heard() -> None:
    old, new = shown("a", 1, text="old"), shown("a", 2, text="new")
    for order in ([("x", old), ("y", new)], [("y", new), ("x", old)]):
        seen = Seen()
        for node, one in order:
            seen.elsewhere.show(node, Changes(1, 1, {1: one}))
        assert seen.names() == ["a"]
        (meta,) = seen.client.state["a"]["metas"]
        assert meta["text"] == "new"
        seen.elsewhere.show("x", Changes(2, 0, {}, [1]))
        assert seen.names() == ["a"]
        seen.elsewhere.show("y", Changes(2, 0, {}, [1]))
        assert seen.names() == []


def test_nod38_an_older_place_is_shown_if_the_newer_goes_first() -> None:
    """The newer one was a wrong guess, or its end was heard and that of the older one wasn't."""
    seen = Seen()
    seen.elsewhere.show("x", Changes(1, 1, {1: shown("a", 1, n=1)}))
    assert seen.names() == ["a"]
    seen.elsewhere.show("y", Changes(1, 1, {1: shown("a", 2, n=2)}))
    seen.elsewhere.show("z", Changes(1, 1, {1: shown("a", 0, n=0)}))
    seen.elsewhere.lose("y")
    assert seen.names() == ["a"]
    (meta,) = seen.client.state["a"]["metas"]
    assert meta["n"] == 1
    seen.elsewhere.lose("x")
    assert seen.names() == ["a"]
    seen.elsewhere.lose("z")
    assert seen.names() == []
    assert not seen.places._older


def test_nod38_a_newer_place_that_comes_and_goes_between_two_diffs_is_never_seen() -> None:
    seen = Seen()
    seen.elsewhere.show("x", Changes(1, 1, {1: shown("a", 1)}))
    seen.names()
    refs = [meta["phx_ref"] for meta in seen.client.state["a"]["metas"]]
    seen.elsewhere.show("y", Changes(1, 1, {1: shown("a", 2)}))
    seen.elsewhere.lose("y")
    assert seen.names() == ["a"]
    (meta,) = seen.client.state["a"]["metas"]
    assert meta.get("phx_ref_prev", meta["phx_ref"]) in refs
    seen.elsewhere.lose("x")
    assert seen.names() == []


def test_nod37_all_nodes_agree_on_two_of_the_same_time() -> None:
    for order in ("xy", "yx"):
        seen = Seen()
        for node in order:
            seen.elsewhere.show(node, Changes(1, 1, {1: shown("a", text=node)}))
        seen.names()
        (meta,) = seen.client.state["a"]["metas"]
        assert meta["text"] == "y"


def test_nod37_a_place_here_that_has_a_later_one_elsewhere_is_ended() -> None:
    seen = Seen()
    here = Place(shown("a", 5))
    seen.places.take(here)
    seen.cursors.move(here, "a", Cursor(1, 2))
    seen.elsewhere.show("x", Changes(1, 1, {1: shown("a", 4)}))
    assert not seen.displaced
    assert here.is_shown
    seen.elsewhere.show("x", Changes(2, 1, {1: shown("a", 6)}))
    assert seen.displaced == [here]
    assert not here.is_shown
    assert seen.names() == ["a"]
    assert seen.cursors.current() is None


def test_nod37_who_comes_back_to_a_place_that_others_took_for_the_older_one_has_it() -> None:
    seen = Seen()
    seen.elsewhere.show("x", Changes(1, 1, {1: shown("a", 1, n=1)}))
    seen.elsewhere.show("y", Changes(1, 1, {1: shown("a", 2, n=2)}))
    seen.elsewhere.show("x", Changes(2, 1, {1: shown("a", 3, n=3)}))
    seen.names()
    (meta,) = seen.client.state["a"]["metas"]
    assert meta["n"] == 3


def test_nod33_a_lost_nodes_members_go_in_one_diff_and_its_count_too() -> None:
    seen = Seen()
    members = {number: shown(f"c{number}") for number in range(5)}
    seen.elsewhere.show("x", Changes(1, 7, members))
    assert len(seen.names()) == 5
    assert seen.elsewhere.count == 7
    seen.elsewhere.lose("x")
    assert seen.names() == []
    assert seen.elsewhere.count == 0
    assert seen.more == [True, False]
    seen.elsewhere.lose("x")
    assert seen.more == [True, False]


def test_nod30_who_becomes_another_person_goes_and_comes() -> None:
    seen = Seen()
    seen.elsewhere.show("x", Changes(1, 1, {1: shown("a", key="ada")}))
    seen.names()
    seen.elsewhere.show("x", Changes(2, 1, {1: shown("a", 2, key="bob")}))
    seen.names()
    assert list(seen.client.state) == ["bob"]


# NOD35, NOD36: cursors


DRAG = {f"n{number}": Moving(number, 0) for number in range(30)}


def told(pointing: Pointing, now: float = 0.0) -> list[tuple[int, list[Pointer]]]:
    return list(pointing.messages(now))


def test_nod35_the_newest_cursor_is_told_once() -> None:
    cursors = Cursors()
    pointing = Pointing(cursors)
    a = Place(shown("a"))
    for x in range(3):
        cursors.move(a, "a", Cursor(x, 0))
        pointing.moved(a, 7)
    assert told(pointing) == [(1, [Pointer(7, 2, 0)])]
    assert told(pointing) == []
    pointing.repeat(0.0)
    assert told(pointing) == [(2, [Pointer(7, 2, 0)])]
    cursors.move(a, "a", None)
    pointing.moved(a, 7)
    assert told(pointing) == [(3, [Pointer(7)])]
    pointing.leave(a)
    pointing.repeat(9.0)
    assert pointing.is_told


def test_nod35_many_cursors_go_in_several_messages() -> None:
    cursors = Cursors()
    pointing = Pointing(cursors)
    for number in range(300):
        place = Place(shown(f"c{number}"))
        cursors.move(place, f"c{number}", Cursor(number, 0))
        pointing.moved(place, number)
    messages = told(pointing)
    assert len(messages) > 1
    assert [one.member for _, pointers in messages for one in pointers] == list(range(300))


def test_nod36_a_drag_is_told_once_then_how_far_it_moved_and_whole_each_second() -> None:
    cursors = Cursors()
    pointing = Pointing(cursors)
    a = Place(shown("a"))

    def drag(x: float, now: float, moving: dict[str, Moving] | None = None) -> Pointer:
        cursors.move(a, "a", Cursor(x, 0, moving or {}, Shift(x, 0)))
        pointing.moved(a, 1)
        ((_, (pointer,)),) = told(pointing, now)
        return pointer

    assert drag(0, 5.0, DRAG) == Pointer(1, 0, 0, 1, DRAG, Shift(0, 0))
    assert drag(1, 5.1) == Pointer(1, 1, 0, 1, {}, Shift(1, 0))
    assert drag(2, 5.0 + REPEAT) == Pointer(1, 2, 0, 1, DRAG, Shift(2, 0))
    assert drag(3, 5.1 + REPEAT) == Pointer(1, 3, 0, 1, {}, Shift(3, 0))
    other = {"n": Moving(9, 9)}
    assert drag(0, 5.2 + REPEAT, other) == Pointer(1, 0, 0, 2, other, Shift(0, 0))
    pointing.repeat(5.2 + REPEAT)
    assert pointing.is_told
    pointing.repeat(20.0)
    assert told(pointing, 20.0) == [(6, [Pointer(1, 0, 0)])]
    pointing.repeat(30.0)
    assert told(pointing, 30.0) == [(7, [Pointer(1, 0, 0)])]
    assert drag(4, 31.0) == Pointer(1, 4, 0, 2, other, Shift(4, 0))


def test_nod36_a_very_large_drag_is_told_as_a_pointer() -> None:
    cursors = Cursors()
    pointing = Pointing(cursors)
    a = Place(shown("a"))
    large = {f"{number:05}": Moving(1, 1) for number in range(MAX_DRAG_BYTES // 50)}
    for x in range(3):
        cursors.move(a, "a", Cursor(x, 0, {} if x else large, Shift(x, 0)))
        pointing.moved(a, 1)
        assert told(pointing) == [(x + 1, [Pointer(1, x, 0)])]


class Watching(Seen):
    """Node ``x`` has a member, number 1."""

    def __init__(self) -> None:
        super().__init__()
        self.elsewhere.show("x", Changes(1, 1, {1: shown("a")}))

    def point(self, number: int, *pointer: object) -> object:
        """What members are told then."""
        self.elsewhere.point("x", number, [Pointer(1, *pointer)])  # type: ignore[arg-type]
        moved = self.cursors.moved()
        return None if moved is None else json.loads(moved[1])["a"]


def test_nod35_late_and_second_cursors_change_nothing() -> None:
    seen = Watching()
    assert seen.point(2, 5, 5) == {"x": 5, "y": 5}
    assert seen.point(1, 4, 4) is None
    assert seen.point(2, 4, 4) is None
    assert seen.point(3) is None
    assert seen.point(4, 6, 6) == {"x": 6, "y": 6}
    seen.elsewhere.point("x", 5, [Pointer(99, 1, 1)])
    assert seen.cursors.moved() is None
    seen.elsewhere.show("x", Changes(2, 0, {}, [1]))
    assert seen.cursors.current() is None


def test_nod36_members_are_told_a_drag_once_and_of_one_that_was_missed_the_pointer() -> None:
    seen = Watching()
    assert seen.point(1, 5, 5, 1, {}, Shift(1, 0)) == {"x": 5, "y": 5}
    first = seen.point(2, 5, 5, 1, dict(DRAG), Shift(2, 0))
    assert isinstance(first, dict)
    assert len(first["moving"]) == len(DRAG)
    assert seen.point(3, 6, 5, 1, {}, Shift(3, 0)) == {"x": 6, "y": 5, "moved": {"x": 3, "y": 0}}
    again = seen.point(4, 6, 5, 1, dict(DRAG), Shift(4, 0))
    assert again == {"x": 6, "y": 5, "moved": {"x": 4, "y": 0}}
    assert seen.point(5, 7, 5, 2, {}, Shift(1, 0)) == {"x": 7, "y": 5}
    assert seen.point(6, 8, 5) == {"x": 8, "y": 5}


@pytest.mark.parametrize("pointer", [(5,), (None, 5)])
def test_nod41_half_a_place_is_none(pointer: tuple[float | None, ...]) -> None:
    seen = Watching()
    seen.point(1, 1, 1)
    assert seen.point(2, *pointer) is None
    assert seen.cursors.current() is None
