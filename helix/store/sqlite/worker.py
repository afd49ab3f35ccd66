"""A thread that runs database requests, so that the reactor never waits for a disk."""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.errors import HelixError, StoreError, StoreUnavailable

MAX_QUEUED_BYTES = 64 * 2**20
"""Bytes of requests that may wait; further ones are refused."""

MAX_WAIT = 10.0
"""Seconds after which a request is given up, and never done, if its turn has not come."""

MAX_TIME = 30.0
"""Seconds after which nobody waits for a request any more; it may still be done."""

MAX_STOP = 20.0
"""Seconds that a stop waits for what was asked before it."""

MAX_SECONDS = 0.01
"""For how long answers are given in one turn of the reactor: each may be what many wait for."""

_SWEEP_INTERVAL = 1.0

W = TypeVar("W")
W_contra = TypeVar("W_contra", contravariant=True)


class Runner(Protocol[W_contra]):
    """Runs the requests of a `Worker`; it is made, used and closed in the worker's thread."""

    @property
    def unfinished(self) -> bool:
        """Whether there is something that can be done while nothing is asked."""

    def run(self, works: Sequence[W_contra]) -> list[object]:
        """
        Do what was asked, in order.

        :param works: none where there is time for what is ``unfinished``.
        :return: the result of each; where it is a `HelixError`, that work failed.
        """

    def close(self) -> None:
        """Let go of the database."""


@attrs.define(eq=False)
class _Request(Generic[W]):
    """
    Something that was asked.

    :ivar size: bytes.
    :ivar since: when, by the reactor's clock.
    :ivar answer: ``None`` once it is given.
    """

    work: W
    size: int
    since: float
    answer: Deferred[Any] | None


class _State(Enum):
    NEW = "new"
    EXPECTED = "expected"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class Worker(Generic[W]):
    """
    Runs requests in a thread of its own, in order.

    Requests that come while the thread is busy form the next batch, and so do those of one turn of
    the reactor: a batch costs far more than a request.

    :param reactor: for time, and to come back from the thread to.
    :param name: the thread's.
    :param open_runner: called in the thread when it starts.
    :param max_batch: how many requests are given to the runner at once.
    :param max_batch_bytes: at how many bytes no more are.

    :ivar has_given_up: whether nobody waits any more for a request that may still be done.
    """

    _log = Logger(namespace="helix.store")

    def __init__(
        self,
        reactor: Any,
        name: str,
        open_runner: Callable[[], Runner[W]],
        max_batch: int = 1,
        max_batch_bytes: int = 4 * 2**20,
    ) -> None:
        self.has_given_up = False
        self._reactor = reactor
        self._open_runner = open_runner
        self._max_batch = max_batch
        self._max_batch_bytes = max_batch_bytes
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)
        self._state = _State.NEW
        # What both threads touch is touched under this condition's lock.
        self._wakes = threading.Condition()
        self._queue: deque[_Request[W]] = deque()
        self._queued_bytes = 0
        self._begun: Sequence[_Request[W]] = ()
        self._done: deque[tuple[_Request[W], object]] = deque()
        self._is_delivering = False
        self._gathering: IDelayedCall | None = None
        self._rest: IDelayedCall | None = None
        self._sweep: IDelayedCall | None = None
        self._started: Deferred[None] | None = None
        self._stopping: list[Deferred[None]] = []
        self._stop_limit: IDelayedCall | None = None
        self._trouble: type[HelixError] | None = None

    def expect(self) -> None:
        """Take requests from here on; they wait for `start`."""
        self._state = _State.EXPECTED

    def start(self) -> Deferred[None]:
        """
        Start the thread.

        :return: a Deferred that fires when the runner is open, or fails with its error.
        """
        self._started = Deferred()
        self._state = _State.OPEN
        self._thread.start()
        return self._started

    def submit(self, work: W, size: int = 0) -> Deferred[Any]:
        """
        Ask for something.

        :param size: what it takes while it waits, in bytes.
        :return: a Deferred of the result.
        :raises StoreUnavailable: when the worker is closed, has too much to do, or takes too long.
        """
        if self._state not in (_State.EXPECTED, _State.OPEN):
            return fail(StoreUnavailable("The store is closed"))
        if self._queued_bytes + size > MAX_QUEUED_BYTES and self._queued_bytes:
            return fail(StoreUnavailable("The store has too much to do, try again later"))
        answer: Deferred[Any] = Deferred()
        request = _Request(work, size, self._reactor.seconds(), answer)
        with self._wakes:
            self._queue.append(request)
            self._queued_bytes += size
            if self._max_batch == 1:
                self._wakes.notify()
            elif self._gathering is None:
                self._gathering = self._reactor.callLater(0, self._gathered)
        if self._sweep is None:
            self._sweep = self._reactor.callLater(_SWEEP_INTERVAL, self._give_up_late)
        return answer

    def stop(self) -> Deferred[None]:
        """
        Finish what was asked, close the runner and end the thread; all within `MAX_STOP`.

        :return: a Deferred that fires when that is done, or took too long.
        """
        if self._state in (_State.NEW, _State.EXPECTED, _State.CLOSED):
            left = list(self._queue)
            self._queue.clear()
            self._fail(left)
            self._closed()
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        self._stopping.append(stopped)
        if self._state is _State.OPEN:
            self._stop_limit = self._reactor.callLater(MAX_STOP, self._abandon)
            with self._wakes:
                self._state = _State.CLOSING
                self._wakes.notify()
        return stopped

    # In the reactor's thread.

    def _opened(self) -> None:
        if self._started is not None:
            started, self._started = self._started, None
            started.callback(None)

    def _gathered(self) -> None:
        """Let the thread have what came in this turn."""
        with self._wakes:
            self._gathering = None
            self._wakes.notify()

    def _deliver(self) -> None:
        """Answer what is done, as much as one turn has time for."""
        self._rest = None
        until = self._reactor.seconds() + MAX_SECONDS
        while self._deliver_one():
            if self._reactor.seconds() >= until:
                self._rest = self._reactor.callLater(0, self._deliver)
                return

    def _deliver_one(self) -> bool:
        with self._wakes:
            if not self._done:
                self._is_delivering = False
                return False
            request, outcome = self._done.popleft()
        self._note_trouble(outcome)
        answer, request.answer = request.answer, None
        if answer is not None and isinstance(outcome, HelixError):
            answer.errback(outcome)
        elif answer is not None:
            answer.callback(outcome)
        return True

    def _note_trouble(self, outcome: object) -> None:
        """Log when the database begins to fail, and when it works again."""
        if not isinstance(outcome, StoreError) or outcome.__cause__ is None:
            if self._trouble is not None:
                self._log.info("The store works again")
                self._trouble = None
        elif type(outcome) is not self._trouble:
            self._trouble = type(outcome)
            self._log.error("{error} ({cause!r})", error=outcome, cause=outcome.__cause__)

    def _give_up_late(self) -> None:
        """Fail what waits for too long, and look again while there is anything."""
        self._sweep = None
        now = self._reactor.seconds()
        late = []
        with self._wakes:
            while self._queue and self._queue[0].since <= now - MAX_WAIT:
                request = self._queue.popleft()
                self._queued_bytes -= request.size
                late.append(request)
            begun = [request for request in self._begun if request.since <= now - MAX_TIME]
            waiting = bool(self._queue) or any(request.answer for request in self._begun)
        if waiting:
            self._sweep = self._reactor.callLater(_SWEEP_INTERVAL, self._give_up_late)
        self.has_given_up = self.has_given_up or bool(begun)
        self._fail([*late, *begun])

    def _fail(self, requests: Sequence[_Request[W]]) -> None:
        for request in requests:
            answer, request.answer = request.answer, None
            if answer is not None:
                answer.errback(StoreUnavailable())

    def _abandon(self) -> None:
        """Stop waiting for the thread; what it has not begun it never will."""
        with self._wakes:
            left = [*self._begun, *self._queue]
            self._queue.clear()
            self._queued_bytes = 0
        self._log.error("The store did not close within {limit} s", limit=MAX_STOP)
        self._fail(left)
        self._closed()

    def _ended(self, failure: Failure | None) -> None:
        self._thread.join()
        if self._state is not _State.CLOSED:
            self._closed()
        if self._started is not None:
            started, self._started = self._started, None
            started.errback(failure)
        elif failure is not None:
            self._log.failure("The store could not be closed", failure)

    def _closed(self) -> None:
        self._state = _State.CLOSED
        while self._deliver_one():
            pass
        for timer in (self._gathering, self._rest, self._sweep, self._stop_limit):
            if timer is not None and timer.active():
                timer.cancel()
        stopping, self._stopping = self._stopping, []
        for stopped in stopping:
            stopped.callback(None)

    # In the worker's thread.

    def _live(self) -> None:
        # Signals are the main thread's: here one would end the process while that blocks it.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        failure = None
        try:
            runner = self._open_runner()
            try:
                self._reactor.callFromThread(self._opened)
                self._serve(runner)
            finally:
                runner.close()
        except BaseException:  # whatever it is, somebody waits for it
            failure = Failure()
        self._reactor.callFromThread(self._ended, failure)

    def _serve(self, runner: Runner[W]) -> None:
        while True:
            requests = self._take(runner)
            if not requests and self._state is not _State.OPEN:
                return
            try:
                outcomes = runner.run([request.work for request in requests])
            except Exception as error:
                unexpected = StoreError()
                unexpected.__cause__ = error
                outcomes = [unexpected] * len(requests)
            self._hand_over(zip(requests, outcomes, strict=True))
            del requests, outcomes  # which may be large, and the next may be long in coming

    def _hand_over(self, done: Iterable[tuple[_Request[W], object]]) -> None:
        """Let the reactor's thread know what is done, by one call for all that it hasn't seen."""
        with self._wakes:
            self._done.extend(done)
            is_new = bool(self._done) and not self._is_delivering
            self._is_delivering = self._is_delivering or is_new
        if is_new:
            self._reactor.callFromThread(self._deliver)

    def _take(self, runner: Runner[W]) -> Sequence[_Request[W]]:
        """Wait for requests, and give as many as go together; none when there is time."""
        requests: list[_Request[W]] = []
        size = 0
        with self._wakes:
            self._begun = []
            while self._state is _State.OPEN and not runner.unfinished:
                if self._queue and self._gathering is None:
                    break
                self._wakes.wait()
            while self._queue and len(requests) < self._max_batch and size < self._max_batch_bytes:
                request = self._queue.popleft()
                size += request.size
                requests.append(request)
            self._queued_bytes -= size
            self._begun = requests
        return requests
