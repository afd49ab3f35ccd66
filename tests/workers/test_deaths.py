"""When a worker that ended starts again. (docs/spec.md, NOD82)"""

from __future__ import annotations

from helix.workers.deaths import MAX_DEATHS, WINDOW, Deaths


def test_nod82_each_further_end_doubles_the_wait_until_there_are_too_many() -> None:
    deaths = Deaths()
    assert [deaths.count(float(n)) for n in range(MAX_DEATHS)] == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert deaths.count(5.0) is None


def test_nod82_what_is_long_ago_is_forgotten() -> None:
    deaths = Deaths()
    waits = [deaths.count(n * WINDOW / MAX_DEATHS) for n in range(100)]
    assert None not in waits
    assert waits[-1] == 8.0
    assert deaths.count(100 * WINDOW) == 0.5
