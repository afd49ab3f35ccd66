"""Which Deferreds have their results already."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed

from helix.at_hand import has_result


def test_a_result_is_there_or_not() -> None:
    assert has_result(succeed(None))
    waited_for: Deferred[int] = Deferred()
    assert not has_result(waited_for)
    waited_for.callback(1)
    assert has_result(waited_for)


def test_a_failure_is_no_result() -> None:
    failed = fail(ValueError())
    assert not has_result(failed)
    failed.addErrback(lambda _: None)


def test_what_waits_for_another_has_no_result() -> None:
    other: Deferred[int] = Deferred()
    chained: Deferred[int] = succeed(None).addCallback(lambda _: other)
    assert not has_result(chained)
    other.callback(1)
    assert has_result(chained)
    assert chained.result == 1
