"""Storage for patches that aren't confirmed: in memory, or in a file before they are sent."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from helix.client.outbox import OutboxFile, SavedOutbox

T = TypeVar("T")


class Keeper(Protocol):
    """Keeps a client's unconfirmed patches."""

    def open(self, flow_id: str) -> Deferred[SavedOutbox | None]:
        """Give the patches that were kept before; fails with `OutboxUnusable`."""

    def save(self) -> Deferred[None]:
        """
        Keep how things are now.

        :return: a Deferred that fires once that, or something newer, is durable; fails with
            `OutboxUnusable`.
        """

    def close(self) -> Deferred[None]:
        """Finish what is under way and let go."""


class MemoryKeeper:
    """Keeps nothing: unconfirmed patches are lost when the process ends. (`Keeper`)"""

    def open(self, flow_id: str) -> Deferred[SavedOutbox | None]:
        return succeed(None)

    def save(self) -> Deferred[None]:
        return succeed(None)

    def close(self) -> Deferred[None]:
        return succeed(None)


class FileKeeper:
    """
    Keeps it in a file, which a thread of the reactor's pool writes. (`Keeper`)

    At most one write is under way. All that is asked for meanwhile becomes the next.

    :param snapshot: gives what is to be kept at the moment.
    """

    def __init__(
        self, reactor: Any, path: str | PathLike[str], snapshot: Callable[[], SavedOutbox]
    ) -> None:
        self._reactor = reactor
        self._file = OutboxFile(path)
        self._snapshot = snapshot
        self._turn = DeferredLock()
        self._waiting: list[Deferred[None]] = []

    def open(self, flow_id: str) -> Deferred[SavedOutbox | None]:
        return self._turn.run(self._in_thread, self._file.open, flow_id)

    def save(self) -> Deferred[None]:
        saved: Deferred[None] = Deferred()
        self._waiting.append(saved)
        if len(self._waiting) == 1:
            self._turn.run(self._write)
        return saved

    def close(self) -> Deferred[None]:
        return self._turn.run(self._in_thread, self._file.close)

    def _write(self) -> Deferred[None]:
        waiting, self._waiting = self._waiting, []

        def kept(_: object) -> None:
            for saved in waiting:
                saved.callback(None)

        def failed(failure: Failure) -> None:
            for saved in waiting:
                saved.errback(failure)

        return self._in_thread(self._file.save, self._snapshot()).addCallbacks(kept, failed)

    def _in_thread(self, call: Callable[..., T], *arguments: Any) -> Deferred[T]:
        pool = self._reactor.getThreadPool()
        done: Deferred[T] = deferToThreadPool(self._reactor, pool, call, *arguments)
        return done
