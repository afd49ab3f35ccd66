"""The thread behind the SQLite store: what waits, for how long, and what is given up."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from pytest_twisted import async_yield_fixture, ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, globalLogPublisher

from helix.errors import FlowNotFound, StoreCorrupt, StoreError, StoreFull, StoreUnavailable
from helix.store.sqlite.worker import (
    MAX_QUEUED_BYTES,
    MAX_SECONDS,
    MAX_STOP,
    MAX_TIME,
    MAX_WAIT,
    Worker,
)
from tests.store.sqlite import until

SECONDS = 10.0
"""What no step of these tests takes."""


class ClockedReactor(Clock):
    """Time stands until the test moves it; calls from threads are the real reactor's."""

    def callFromThread(self, call: Callable[..., object], *arguments: object) -> None:
        reactor.callFromThread(call, *arguments)


class Gate:
    """A runner whose every run waits for the test."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.runs: list[list[Any]] = []
        self.unfinished = False
        self.closed = False
        self.threads: set[int] = set()

    def run(self, works: Sequence[Any]) -> list[object]:
        self.threads.add(threading.get_ident())
        self.runs.append(list(works))
        self.begun.release()
        assert self.go.acquire(timeout=SECONDS)
        if works == ["crash"]:
            raise RuntimeError("a fault")
        return list(works)

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.closed = True

    async def until_begun(self) -> None:
        assert await deferToThread(self.begun.acquire, timeout=SECONDS)

    def open(self, runs: int = 100) -> None:
        self.go.release(runs)


class Bench:
    """A worker, its runner and its time."""

    def __init__(self) -> None:
        self.clock = ClockedReactor()
        self.gate = Gate()
        self.worker: Worker[Any] = Worker(self.clock, "tested", lambda: self.gate, max_batch=3)

    async def begin(self, work: str = "first", size: int = 0) -> Deferred[Any]:
        """Ask for work and wait until it is under way."""
        asked = self.ask(work, size)
        await self.gate.until_begun()
        return asked

    def ask(self, work: Any, size: int = 0) -> Deferred[Any]:
        """Ask for work in a turn of its own."""
        asked = self.worker.submit(work, size)
        self.clock.advance(0)
        return asked


async def failure(asked: Deferred[Any]) -> Exception:
    with pytest.raises(StoreError) as caught:
        await asked
    return caught.value


@async_yield_fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    await bench.worker.start()
    yield bench
    bench.gate.open()
    await bench.worker.stop()
    assert bench.gate.closed
    assert bench.clock.getDelayedCalls() == []


@ensureDeferred
async def test_sto15_what_waits_is_done_together_and_in_order(bench: Bench) -> None:
    first = await bench.begin()
    others = [bench.ask(n) for n in range(5)]
    bench.gate.open()
    assert await first == "first"
    assert await gatherResults(others) == list(range(5))
    assert bench.gate.runs == [["first"], [0, 1, 2], [3, 4]]
    assert threading.get_ident() not in bench.gate.threads


@ensureDeferred
async def test_sto16_requests_of_one_turn_go_together(bench: Bench) -> None:
    first = await bench.begin()
    asked = [bench.worker.submit(0)]
    bench.gate.open()
    await first  # the thread has time
    asked.append(bench.worker.submit(1))
    bench.clock.advance(0)
    assert await gatherResults(asked) == [0, 1]
    assert bench.gate.runs == [["first"], [0, 1]]


@ensureDeferred
async def test_sto15_bytes_end_a_batch(bench: Bench) -> None:
    first = await bench.begin()
    others = [bench.ask(n, 3 * 2**20) for n in range(3)]
    bench.gate.open()
    await gatherResults([first, *others])
    assert bench.gate.runs == [["first"], [0, 1], [2]]


@ensureDeferred
async def test_sto17_what_waits_too_long_is_never_done(bench: Bench) -> None:
    first = await bench.begin()
    late = bench.ask("late")
    bench.clock.advance(MAX_WAIT - 1)
    timely = bench.ask("timely")
    assert not late.called
    bench.clock.advance(1)
    assert isinstance(await failure(late), StoreUnavailable)
    bench.gate.open()
    assert await gatherResults([first, timely]) == ["first", "timely"]
    assert bench.gate.runs == [["first"], ["timely"]]
    assert not bench.worker.has_given_up, "what had not begun is never done"


@ensureDeferred
async def test_sto17_nobody_waits_for_ever_for_what_has_begun(bench: Bench) -> None:
    first = await bench.begin()
    bench.clock.advance(MAX_TIME - 1)
    assert not first.called
    assert not bench.worker.has_given_up
    bench.clock.advance(1)
    assert isinstance(await failure(first), StoreUnavailable)
    bench.gate.open()
    assert await bench.ask("next") == "next"
    assert bench.worker.has_given_up, "which may still have been done"


@ensureDeferred
async def test_sto17_too_much_at_once_is_refused(bench: Bench) -> None:
    first = await bench.begin(size=MAX_QUEUED_BYTES)
    # What is under way waits no longer. Even what is larger than may wait gets its turn.
    second = bench.ask("second", 2 * MAX_QUEUED_BYTES)
    assert isinstance(await failure(bench.ask("third", 1)), StoreUnavailable)
    bench.gate.open()
    assert await gatherResults([first, second]) == ["first", "second"]
    assert await bench.ask("fourth", MAX_QUEUED_BYTES) == "fourth"


class Large:
    """What is asked for, and what is answered."""


class Answers:
    """A runner that knows nothing of what it has done."""

    unfinished = False

    def run(self, works: Sequence[Any]) -> list[object]:
        return [Large() for _ in works]

    def close(self) -> None:
        pass


@ensureDeferred
async def test_sto24_what_is_done_is_forgotten() -> None:
    worker: Worker[Any] = Worker(reactor, "tested", Answers)
    await worker.start()
    work = Large()
    asked = weakref.ref(work)
    answered = weakref.ref(await worker.submit(work))
    del work
    gc.collect()
    # The thread may be about to wait for more.
    await until(lambda: asked() is None and answered() is None)
    await worker.stop()


@ensureDeferred
async def test_sto11_a_stop_finishes_what_was_asked(bench: Bench) -> None:
    asked = [await bench.begin(), *(bench.ask(n) for n in range(5))]
    stops = [bench.worker.stop(), bench.worker.stop()]
    assert isinstance(await failure(bench.ask("late")), StoreUnavailable)
    assert not any(stop.called for stop in stops)
    bench.gate.open()
    await gatherResults(stops)
    assert [done.result for done in asked] == ["first", 0, 1, 2, 3, 4]
    await bench.worker.stop()


@ensureDeferred
async def test_sto11_a_stop_does_not_wait_for_ever(bench: Bench) -> None:
    first = await bench.begin()
    second = bench.ask("second")
    stopped = bench.worker.stop()
    bench.clock.advance(MAX_STOP)
    assert stopped.called
    for asked in (first, second):
        assert isinstance(await failure(asked), StoreUnavailable)
    bench.gate.open()
    await deferToThread(bench.worker._thread.join, SECONDS)
    assert bench.gate.runs == [["first"]]


@ensureDeferred
async def test_sto11_a_start_that_fails_says_why() -> None:
    def refuse() -> Gate:
        raise StoreCorrupt("It is damaged")

    worker = Worker(ClockedReactor(), "tested", refuse)
    assert str(await failure(worker.start())) == "It is damaged"
    assert isinstance(await failure(worker.submit("work")), StoreUnavailable)
    await worker.stop()


@ensureDeferred
async def test_sto12_a_fault_fails_what_was_asked_and_no_more(bench: Bench) -> None:
    bench.gate.open()
    seen = Log()
    with seen:
        assert type(await failure(bench.ask("crash"))) is StoreError
        assert await bench.ask("next") == "next"
    assert [(event["log_level"].name, "a fault" in repr(event)) for event in seen.events] == [
        ("error", True),
        ("info", False),
    ]


@ensureDeferred
async def test_sto12_trouble_is_logged_when_it_begins_and_ends(bench: Bench) -> None:
    bench.gate.open()
    full = StoreFull()
    full.__cause__ = OSError("no room")
    seen = Log()
    with seen:
        for outcome in (full, full, FlowNotFound(), full, "fine", "fine"):
            asked = bench.ask(outcome)
            await asked.addErrback(lambda failed: failed.trap(StoreFull, FlowNotFound))
    assert [event["log_level"].name for event in seen.events] == ["error", "info"] * 2


class Log:
    """What is logged while it is entered."""

    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def __enter__(self) -> None:
        globalLogPublisher.addObserver(self.events.append)

    def __exit__(self, *_: object) -> None:
        globalLogPublisher.removeObserver(self.events.append)


@ensureDeferred
async def test_ops12_answers_take_turns_with_everything_else(bench: Bench) -> None:
    """Each may be what many wait for, so of many that are ready at once some wait for a turn."""
    seen: list[str] = []

    def take(work: str) -> None:
        if not seen:
            bench.clock.callLater(0, seen.append, "something else")
        bench.clock.rightNow += MAX_SECONDS * 0.4
        seen.append(work)

    first = await bench.begin()
    asked = [bench.ask(f"{n}").addCallback(take) for n in range(9)]
    bench.gate.open()
    await first
    last = bench.ask("last")
    while not last.called:
        await deferToThread(lambda: None)
        bench.clock.advance(0)
    assert seen == ["0", "1", "2", "something else", *(f"{n}" for n in range(3, 9))]
    assert all(one.called for one in asked)


@ensureDeferred
async def test_sto11_a_stop_gives_all_answers(bench: Bench) -> None:
    def take(_: str) -> None:
        bench.clock.rightNow += MAX_SECONDS

    asked = [bench.ask(f"{n}").addCallback(take) for n in range(5)]
    bench.gate.open()
    await bench.worker.stop()
    assert all(one.called for one in asked)
