"""A pool of connections that reconnect, and runs work on a free one."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from helix.errors import StoreError, StoreReadOnly, StoreUnavailable
from helix.store.postgresql.address import Address
from helix.store.postgresql.failures import (
    STATEMENT_POOLING,
    ConnectionGone,
    CutAtBegin,
    Refused,
)
from helix.store.postgresql.wire import Bounds, Connection

T = TypeVar("T")
Work = Callable[[Connection], Awaitable[T]]
"""
Something to be done on a connection, perhaps more than once: when a connection is lost under it,
nobody knows whether it took effect.
"""

FIRST_PAUSE = 0.1
"""Seconds between an attempt to connect that failed and the next; doubled each time."""

LONGEST_PAUSE = 1.0

CUTS = 3
"""Connections in a row that a pooler cuts at the start of a transaction because it allows none."""


class Pool:
    """
    A few connections. A lost one is opened again, for as long as that takes.

    If an address has several places, the first that accepts writes is taken, beginning with the one
    that was taken last.

    :param size: how many.
    :param read_only: whether nothing is to be written, so that any place is as good.
    """

    _log: Final = Logger(namespace="helix.store.postgres")

    def __init__(
        self,
        address: Address,
        reactor: object,
        bounds: Bounds,
        size: int,
        read_only: bool = False,
    ) -> None:
        self._address = address
        self._places = deque(address.places)
        self._picky = len(self._places) > 1 and not read_only
        self._reactor = reactor
        self._clock = IReactorTime(reactor)
        self._bounds = bounds
        self._size = size
        self._closed = False
        self._attempts = 0
        self._trouble: str | None = None
        self._all: set[Connection] = set()
        self._idle: list[Connection] = []
        self._is_giving = False
        self._waiters: deque[Deferred[Connection]] = deque()
        self._keeping: list[Deferred[None]] = []
        self._pauses: set[Deferred[None]] = set()

    async def first(self, work: Work[None]) -> None:
        """
        Do ``work`` on a connection before anything else, to find out whether the database can be
        used.

        :raises StoreError: when it can't, or isn't there for the time that `Bounds` says.
        """
        deadline = self._clock.seconds() + self._bounds.start
        pause = FIRST_PAUSE
        cuts = 0
        while True:
            try:
                connection = await self.open()
                try:
                    return await work(connection)
                finally:
                    connection.discard()
            except (StoreUnavailable, StoreReadOnly) as error:
                # libpq doesn't hand on the words with which it was cut.
                cuts = cuts + 1 if isinstance(error, CutAtBegin) else 0
                if cuts == CUTS:
                    raise Refused(STATEMENT_POOLING) from None
                if self._closed or self._clock.seconds() + pause > deadline:
                    kind = StoreReadOnly if isinstance(error, StoreReadOnly) else StoreUnavailable
                    raise kind(error.message) from None
                self._note(error)
            await self.rest(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def start(self) -> None:
        """Begin to open the connections."""
        for _ in range(self._size):
            keeping = Deferred.fromCoroutine(self._keep())
            keeping.addErrback(
                lambda failure: self._log.failure("Keeping a connection failed", failure)
            )
            self._keeping.append(keeping)

    async def stop(self) -> None:
        """Close all connections. Pending work fails."""
        self._closed = True
        for connection in list(self._all):
            connection.discard()
        while self._waiters:
            self._waiters.popleft().errback(_closed())
        for pause in list(self._pauses):
            pause.cancel()
        await gatherResults(self._keeping)

    async def run(self, work: Work[T]) -> T:
        """
        Have ``work`` done, anew for each time that its connection is lost, or its server turns out
        to only read, while there is time.

        :raises StoreUnavailable: when there was no connection in time.
        :raises StoreReadOnly: when none took writes.
        """
        deadline = self._clock.seconds() + self._bounds.wait
        told: StoreError = StoreUnavailable()
        while True:
            try:
                connection = await self.take(max(0.0, deadline - self._clock.seconds()))
            except StoreUnavailable:
                raise told from None
            try:
                return await work(connection)
            except ConnectionGone:
                told = StoreUnavailable()
            except StoreReadOnly as error:
                told = error
            finally:
                self.give_back(connection)
            if self._clock.seconds() >= deadline:
                raise told

    async def take(self, seconds: float | None = None) -> Connection:
        """
        Wait for a connection, for oneself until `give_back`.

        :param seconds: how long; for ever if ``None``.
        :raises StoreUnavailable: when none came, or the pool is closed.
        """
        if self._closed:
            raise _closed()
        while self._idle and not self._waiters:
            connection = self._idle.pop()
            if not connection.is_gone:
                return connection
        waiter: Deferred[Connection] = Deferred(self._waiters.remove)
        self._waiters.append(waiter)
        if seconds is not None:
            waiter.addTimeout(seconds, self._clock)
        try:
            return await waiter
        except defer.TimeoutError:
            raise StoreUnavailable() from None

    def give_back(self, connection: Connection) -> None:
        """Give the connection to the next one that waits, unless it is gone."""
        if connection.is_gone:
            return
        self._idle.append(connection)
        if self._is_giving:
            return
        # What is done at once gives its connection back in the midst of this: thousands that wait
        # would each be one call deeper than the one before.
        self._is_giving = True
        try:
            while self._idle and self._waiters:
                given = self._idle.pop()
                if not given.is_gone:
                    self._waiters.popleft().callback(given)
        finally:
            self._is_giving = False

    async def _keep(self) -> None:
        """Keep one connection open."""
        pause = FIRST_PAUSE
        while not self._closed:
            try:
                connection = await self.open()
            except StoreError as error:
                self._note(error)
            else:
                opened = self._clock.seconds()
                self.give_back(connection)
                await connection.gone
                pause = FIRST_PAUSE
                if self._clock.seconds() - opened > LONGEST_PAUSE:
                    continue
            await self.rest(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def rest(self, seconds: float) -> None:
        """Wait, but not for longer than the pool is open."""
        if self._closed:
            return
        pause: Deferred[None] = deferLater(self._clock, seconds)
        self._pauses.add(pause)
        try:
            await pause
        except CancelledError:
            pass  # by `stop`
        finally:
            self._pauses.discard(pause)

    async def open(self) -> Connection:
        """
        Connect to the first place that will do.

        :return: a connection that is none of the pool's few, though the pool's end is its end; the
            caller is to `Connection.discard` it.
        :raises Refused: when each of them refuses.
        :raises StoreReadOnly: when one could be reached, but takes no writes.
        :raises StoreUnavailable: when none can be reached.
        """
        errors: list[StoreError] = []
        for place in tuple(self._places):
            try:
                connection = await self._open_at(place)
            except StoreError as error:
                errors.append(error)
                if self._closed:
                    break
                continue
            if self._places[0] is not place:  # the next ones begin here
                self._places.remove(place)
                self._places.appendleft(place)
            if self._trouble is not None:
                self._trouble = None
                self._log.info("{address} can be reached again", address=str(place))
            return connection
        errors.sort(key=_hope)
        raise errors[0]

    async def _open_at(self, place: Address) -> Connection:
        connection = Connection(self._reactor, self._bounds)
        self._all.add(connection)
        connection.gone.addCallback(lambda _: self._all.discard(connection))
        self._attempts += 1
        try:
            await connection.open(place, self._attempts)
            if self._picky and connection.only_reads:
                raise StoreReadOnly(f"{place} takes no writes")
        except BaseException:
            connection.discard()
            raise
        return connection

    def _note(self, error: StoreError) -> None:
        if error.message != self._trouble and not self._closed:
            self._trouble = error.message
            self._log.warn("{reason}", reason=error.message)


def _hope(error: StoreError) -> int:
    """Rank an error by what it says about another try; the smallest one counts."""
    if isinstance(error, StoreReadOnly):
        return 0
    return 1 if isinstance(error, StoreUnavailable) else 2


def _closed() -> StoreUnavailable:
    return StoreUnavailable("The store is closed")
