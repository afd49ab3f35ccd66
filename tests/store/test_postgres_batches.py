"""What goes in one batch of appends. (docs/spec.md, NOD144)"""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from helix.store.postgresql.appends import SLOW_SECONDS, Append, Appends
from tests.store.data import entry


class Database:
    """
    A pool, and each of its connections.

    :ivar batches: the numbers of the appends of each batch that was sent.
    :ivar answers: what each waits for.
    """

    is_pooled = False

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.answers: list[Deferred[list[Any]]] = []

    async def take(self) -> Database:
        return self

    def give_back(self, _: Database) -> None:
        """There are always enough."""

    async def run(self, _: object, given: bytes) -> list[Any]:
        self.batches.append([one["n"] for one in json.loads(given)])
        self.answers.append(Deferred())
        return await self.answers[-1]


class Rig:
    """
    :ivar done: the numbers of the appends that are.
    """

    def __init__(self) -> None:
        self.database, self.clock = Database(), Clock()
        self.appends = Appends(self.database, self.clock)  # type: ignore[arg-type]
        self.done: list[int] = []
        self._numbers = count()

    def append(self, after: float = 0.0) -> None:
        """Append to a flow of its own, and let some time pass."""
        number = next(self._numbers)
        asked = b'{"n":%d}' % number
        append = Append(number, f"f{number}", "e1", 0, [entry(1)], asked, 60.0)
        self.appends.submit(append).addCallback(lambda _: self.done.append(number))
        self.clock.advance(after)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_nod144_what_comes_while_a_batch_is_under_way_goes_together(rig: Rig) -> None:
    for _ in range(4):
        rig.append(SLOW_SECONDS / 5)
    assert rig.database.batches == [[0]]
    rig.database.answers[0].callback([])
    assert rig.database.batches == [[0], [1, 2, 3]]
    rig.database.answers[1].callback([])
    assert rig.done == [0, 1, 2, 3]
    rig.append()
    assert rig.database.batches[2:] == [[4]]  # at once


def test_nod144_a_batch_goes_beside_one_that_is_slow(rig: Rig) -> None:
    rig.append(SLOW_SECONDS / 2)
    rig.append(SLOW_SECONDS)
    assert rig.database.batches == [[0], [1]]
    rig.append(10 * SLOW_SECONDS)
    assert rig.database.batches == [[0], [1]]
    rig.database.answers[1].callback([])
    assert rig.database.batches[2:] == [[2]]
    rig.database.answers[0].callback([])
    rig.database.answers[2].callback([])
    assert sorted(rig.done) == [0, 1, 2]


def test_nod144_the_patience_begins_anew_with_each_batch(rig: Rig) -> None:
    rig.append(SLOW_SECONDS / 2)
    rig.append()
    rig.clock.advance(SLOW_SECONDS / 4)
    rig.database.answers[0].callback([])
    rig.append(SLOW_SECONDS / 2)
    assert rig.database.batches == [[0], [1]]
    rig.clock.advance(SLOW_SECONDS)
    assert rig.database.batches == [[0], [1], [2]]
