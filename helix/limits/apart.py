"""Runs long work in a thread, so that the reactor isn't blocked."""

from __future__ import annotations

from collections.abc import Callable
from time import thread_time
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, DeferredLock, execute, fail
from twisted.internet.threads import deferToThreadPool

from helix.errors import TooManyPending
from helix.limits.rate_limit import Charge

AT_ONCE_BYTES = 64 * 1024
"""Work on up to this many bytes is done at once: it takes less than a turn of the reactor."""

MAX_WAITING = 50
"""How many tasks may wait for the thread; each holds its data in memory."""

T = TypeVar("T")


class Apart(Protocol):
    """Runs work that reads no mutable state."""

    def __call__(
        self, size: int, work: Callable[[], T], charge: Charge | None = None
    ) -> Deferred[T]:
        """
        Do it, in order.

        :param size: bytes that it is about.
        :param charge: told how long it took.
        :return: a Deferred of what ``work`` gives or raises. To cancel it doesn't end the work.
        :raises TooManyPending: (through the Deferred) when too much waits.
        """


def at_once(
    size: int,  # noqa: ARG001  # `Apart`'s
    work: Callable[[], T],
    charge: Charge | None = None,  # noqa: ARG001  # `Apart`'s
) -> Deferred[T]:
    """Run the work at once, whatever its size: for programs that serve nobody else."""
    return execute(work)


class WorkThread:
    """
    Does it in a thread of the reactor's where it is large: one piece after another, since they
    would only take the time from each other, and from the reactor.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._lock = DeferredLock()

    def __call__(
        self, size: int, work: Callable[[], T], charge: Charge | None = None
    ) -> Deferred[T]:
        if size <= AT_ONCE_BYTES:
            return execute(work)
        if len(self._lock.waiting) >= MAX_WAITING:
            return fail(TooManyPending())
        waiting: Deferred[T] = Deferred()
        self._lock.run(self._do, work, charge).addCallbacks(waiting.callback, waiting.errback)
        return waiting

    def _do(self, work: Callable[[], T], charge: Charge | None) -> Deferred[T]:
        def timed() -> T:
            began = thread_time()
            try:
                return work()
            finally:
                if charge is not None:
                    self._reactor.callFromThread(charge, thread_time() - began, 0)

        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), timed)
