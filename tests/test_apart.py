"""What takes long is done apart, and nobody sees a difference."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from helix.apart import AT_ONCE_BYTES, MAX_WAITING, WorkThread
from helix.document import empty_document
from helix.errors import InvalidPatch, TooManyPending
from helix.library import FlowLibrary
from tests.world import World

MakeWorld = Callable[..., World]

LARGE = AT_ONCE_BYTES + 1


@pytest_twisted.ensureDeferred
async def test_lim27_long_work_is_done_in_another_thread_in_order() -> None:
    apart = WorkThread(reactor)
    order: list[int] = []
    charged: list[float] = []

    def work(number: int) -> tuple[int, bool]:
        order.append(number)
        return number, threading.current_thread() is threading.main_thread()

    results = await gatherResults(
        [
            apart(LARGE, lambda number=number: work(number), lambda *told: charged.append(told[0]))
            for number in range(20)
        ]
    )
    assert results == [(number, False) for number in range(20)]
    assert order == [*range(20)]
    assert len(charged) == 20
    assert min(charged) >= 0
    assert await apart(AT_ONCE_BYTES, lambda: work(20)) == (20, True)


@pytest_twisted.ensureDeferred
async def test_lim27_what_waits_is_bounded_and_what_fails_ends() -> None:
    apart = WorkThread(reactor)
    may_end = threading.Event()

    def refuse() -> None:
        assert may_end.wait(60)
        raise InvalidPatch("", "can't be")

    waiting = [apart(LARGE, refuse) for _ in range(MAX_WAITING + 1)]
    with pytest.raises(TooManyPending):
        await apart(LARGE, refuse)
    waiting[0].addErrback(lambda _: None)
    waiting[0].cancel()
    may_end.set()
    for one in waiting[1:]:
        with pytest.raises(InvalidPatch):
            await one
    assert await apart(LARGE, lambda: 1) == 1


class HeldWork:
    """Work apart, done when `go_on` is called."""

    def __init__(self) -> None:
        self._held: list[Callable[[], None]] = []

    def __call__(
        self, _size: int, work: Callable[[], Any], _charge: object = None
    ) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self._held.append(lambda: done.callback(work()))
        return done

    def go_on(self) -> None:
        """Do what was asked for."""
        for do in self._held:
            do()


def result_of(world: World, operation: Deferred[Any]) -> Any:
    """What an operation gives that needs nothing more."""
    results: list[Any] = []
    operation.addCallback(results.append)
    world.settle()
    (result,) = results
    return result


@pytest.mark.parametrize("is_overtaken", [False, True])
def test_lim27_a_replacement_counts_though_others_edit_meanwhile(
    make_world: MakeWorld, is_overtaken: bool
) -> None:
    world, work = make_world(), HeldWork()
    library = FlowLibrary(world.service, world.logs, iter("fghi").__next__, [], work)
    before = world.library
    result_of(world, before.create({"title": "a", "description": "b"}, "f"))
    replaced = library.replace("f", {"title": "c", "data": {"x": 1}}, size=LARGE)
    world.settle()
    if is_overtaken:
        result_of(world, before.patch("f", {"description": "d", "data": {"y": 2}}))
    work.go_on()
    accepted = result_of(world, replaced)
    state = result_of(world, before.read("f"))
    assert accepted.version == state.version == 2 + is_overtaken
    wanted = empty_document() | {"title": "c", "data": {"x": 1}}
    assert json.loads(state.document) == wanted
