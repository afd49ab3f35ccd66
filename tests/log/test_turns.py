"""Nodes that write to one flow take turns. (docs/spec.md, NOD105)"""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from helix.log.turns import (
    APPENDS_OF_SLOT,
    CONTENDED_SECONDS,
    LONGEST_SLOT,
    SHORTEST_SLOT,
    WRITER_SECONDS,
    Turns,
)


def ring(clock: Clock, *nodes: str) -> dict[str, Turns]:
    """Nodes that know that they contend."""
    turns = {node: Turns(clock, node) for node in nodes}
    for node, one in turns.items():
        one.lost(1)
        for other in nodes:
            if other != node:
                one.wanted(other)
    return turns


def append(turns: dict[str, Turns], node: str) -> None:
    """A node has appended, and the others have heard of it."""
    for other, one in turns.items():
        if other == node:
            one.won(0.0)
        else:
            one.heard(node)


def test_nod105_without_a_conflict_nobody_waits() -> None:
    clock = Clock()
    turns = Turns(clock, "a")
    assert turns.wait() == 0.0
    turns.heard("b")
    turns.won(1.0)
    assert turns.wait() == 0.0


def test_nod105_the_next_one_in_the_ring_is_next() -> None:
    clock = Clock()
    turns = ring(clock, "a", "b", "c", "d")
    for node, order in {"b": "cdab", "d": "abcd", "a": "bcda"}.items():
        append(turns, node)
        waits = [turns[one].wait() for one in order]
        assert waits == pytest.approx([SHORTEST_SLOT * place for place in range(4)])


def test_nod105_a_turn_that_nobody_takes_ends() -> None:
    clock = Clock()
    turns = ring(clock, "a", "b", "c")
    append(turns, "a")
    clock.advance(SHORTEST_SLOT)
    assert turns["c"].wait() == 0.0
    assert turns["a"].wait() == pytest.approx(SHORTEST_SLOT)


def test_nod105_all_come_as_often_as_each_other() -> None:
    """Each appends as soon as it may, and one that is there no more is left out."""
    clock = Clock()
    turns = ring(clock, "a", "b", "c", "d")
    came = ""
    for _ in range(400):
        node = min(turns, key=lambda one: turns[one].wait())
        clock.advance(turns[node].wait())
        append(turns, node)
        for one in turns.values():
            one.wanted("a")  # they contend
        came += node
        if len(came) == 200:
            del turns["d"]
            clock.advance(WRITER_SECONDS + 0.1)
            for one in turns.values():
                for other in turns:
                    one.wanted(other)
    assert [came[:200].count(node) for node in "abcd"] == [50] * 4
    assert [came[203:].count(node) for node in "abcd"] == pytest.approx([66, 66, 66, 0], abs=1)


def test_nod105_a_node_is_given_what_appends_take() -> None:
    clock = Clock()
    turns = Turns(clock, "a")
    for seconds in (0.01, 10.0, 0.0):
        for _ in range(200):
            turns.won(seconds)
        expected = min(max(APPENDS_OF_SLOT * seconds, SHORTEST_SLOT), LONGEST_SLOT)
        assert turns.slot == pytest.approx(expected)


def test_nod105_contention_ends() -> None:
    clock = Clock()
    turns = ring(clock, "a", "b")
    append(turns, "a")
    assert turns["a"].wait() > 0
    clock.advance(CONTENDED_SECONDS + 0.1)
    append(turns, "a")
    assert turns["a"].wait() == 0.0


def test_nod105_where_nobody_is_heard_waits_are_drawn_and_grow() -> None:
    """Without a broker; each node draws others, and the first try again is at once."""
    clock = Clock()
    drawn = set()
    for node in "abcdefgh":
        turns = Turns(clock, node)
        turns.lost(1)
        assert turns.wait() == 0.0
        for in_a_row in range(2, 30):
            turns.lost(in_a_row)
            wait = turns.wait()
            assert 0.0 <= wait <= SHORTEST_SLOT * 2 ** min(in_a_row - 1, 4)
            drawn.add(wait)
    assert len(drawn) > 200
    assert max(drawn) > 8 * SHORTEST_SLOT
