"""Group commit: the appends of many flows in one statement, which is one transaction."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence, Set
from typing import Final, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from helix.errors import (
    DuplicateOperation,
    FlowDeleted,
    FlowNotFound,
    HelixError,
    StoreError,
    StoreReadOnly,
    StoreUnavailable,
    VersionConflict,
)
from helix.records import Entry
from helix.store.authors import author_of
from helix.store.postgresql.adding import (
    APPEND,
    APPEND_BY_AUTHORS,
    APPEND_BY_AUTHORS_TO_TELL,
    APPEND_TO_TELL,
    read_lost,
    tell,
)
from helix.store.postgresql.failures import Clash, ConnectionGone, Unfit
from helix.store.postgresql.pool import Pool
from helix.store.postgresql.queries import ENTRIES, pack, read_entry
from helix.store.postgresql.wire import Connection

COMMITTERS = 2
"""Batches under way at once: while one waits for a slow disk, the next one is made."""

SLOW_SECONDS = 0.005
"""
After how many seconds of a batch the next one goes beside it, and not after it: until then, what
comes meanwhile goes together, which takes less of everybody's time.
"""

MAX_BATCH = 500
"""Appends of one batch, so that none of them waits long for the others."""

MAX_BATCH_BYTES = 4 << 20


class Teller(Protocol):
    """Says what the database is to tell those who listen, of appends."""

    def words(
        self, flow_id: str, epoch: str, entries: Sequence[Entry]
    ) -> Sequence[tuple[str, str]]:
        """
        Give the messages to send once these entries are stored, in order: each with its channel. A
        channel's name has nothing that would end an SQL text.
        """

    def told(self, flow_id: str, entries: Sequence[Entry]) -> None:
        """They are stored, which their `Append` tells next, and the messages are sent."""


@attrs.define(eq=False)
class Append:
    """
    An append on its way.

    :ivar number: tells it from the others of its batch.
    :ivar asked: it as JSON.
    :ivar deadline: until when it waits for a connection.
    :ivar tried: whether its connection was lost, so that nobody knows whether it is done.
    :ivar has_authors: whether an entry has one that is kept apart.
    :ivar told: what it fails with when there is no time left.
    """

    number: int
    flow_id: str
    epoch: str
    base_version: int
    entries: Sequence[Entry]
    asked: bytes
    deadline: float
    tried: bool = False
    told: StoreError = attrs.field(factory=StoreUnavailable)
    done: Deferred[None] = attrs.field(factory=Deferred)
    has_authors: bool = attrs.field(init=False)

    @has_authors.default
    def _has_authors(self) -> bool:
        return any(author_of(entry) is not None for entry in self.entries)


class Appends:
    """
    Commits appends, those of one flow in their order.

    An append whose connection is lost is tried again, while there is time. Compare-and-set then
    shows whether it was done: if so, the log is no longer at its base, but holds its entries.

    :ivar teller: of what the database tells of appends, in a transaction of its own after them,
        and in the same round trip. What is tried again is told by nobody here, nor is anything on a
        connection that somebody else may use.
    """

    _log: Final = Logger(namespace="helix.store.postgres")

    def __init__(self, pool: Pool, clock: IReactorTime) -> None:
        self.teller: Teller | None = None
        self._pool = pool
        self._clock = clock
        self._queue: deque[Append] = deque()
        # Flows with one append in the queue or under way, and the further ones of such.
        self._occupied: set[str] = set()
        self._behind: dict[str, deque[Append]] = {}
        self._committers = 0
        self._sent_at = 0.0
        self._waking: IDelayedCall | None = None
        self._patience: IDelayedCall | None = None
        self._expiry: IDelayedCall | None = None

    def submit(self, append: Append) -> Deferred[None]:
        """Commit an append with the next batch."""
        if append.flow_id in self._occupied:
            self._behind.setdefault(append.flow_id, deque()).append(append)
            return append.done
        self._occupied.add(append.flow_id)
        self._queue.append(append)
        if self._expiry is None:
            self._expire_later()
        # Not at once, so that what comes in the same turn goes together.
        if not self._committers:
            if self._waking is None:
                self._waking = self._clock.callLater(0, self._begin)
        elif self._committers < COMMITTERS and self._patience is None:
            self._patience = self._clock.callLater(self._rest, self._lose_patience)
        return append.done

    def close(self) -> None:
        """Fail what waits, when the pool is closed."""
        if self._waking is not None:
            self._waking.cancel()
            self._waking = None
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        while self._queue:
            self._finish(self._queue.popleft(), StoreUnavailable())
        self._stop_expiring()

    @property
    def _rest(self) -> float:
        """Seconds until what is under way is slow."""
        return max(0.0, self._sent_at + SLOW_SECONDS - self._clock.seconds())

    def _lose_patience(self) -> None:
        """Send one more batch beside what is under way, if that is slow, or has failed."""
        self._patience = None
        if self._queue and self._committers < COMMITTERS:
            if self._committers and self._rest:
                self._patience = self._clock.callLater(self._rest, self._lose_patience)
            else:
                self._begin()

    def _begin(self) -> None:
        self._waking = None
        self._committers += 1
        committing = Deferred.fromCoroutine(self._commit())
        committing.addErrback(lambda failure: self._log.failure("A commit task failed", failure))

    async def _commit(self) -> None:
        """Commit what is queued, until nothing is."""
        try:
            while self._queue:
                connection = await self._pool.take()
                batch = self._next_batch()
                self._sent_at = self._clock.seconds()
                try:
                    await self._write(connection, batch)
                except Exception:
                    # Our own fault, whatever it is, leaves nobody waiting for an answer.
                    self._give_up(batch)
                    raise
                finally:
                    self._pool.give_back(connection)
        except StoreUnavailable:  # the pool is closed
            self.close()
        finally:
            self._committers -= 1

    def _next_batch(self) -> list[Append]:
        batch: list[Append] = []
        size = 0
        while self._queue and len(batch) < MAX_BATCH and size < MAX_BATCH_BYTES:
            append = self._queue.popleft()
            batch.append(append)
            size += len(append.asked)
        if not self._queue:
            self._stop_expiring()
        return batch

    async def _write(self, connection: Connection, batch: list[Append]) -> None:
        """Commit a batch. One that is at fault is found by halves, and the others are committed."""
        if not batch:
            return
        words = [] if connection.is_pooled else self._words(batch)
        try:
            lost = await _append(connection, batch, words)
        except (ConnectionGone, StoreReadOnly) as error:
            self._again(batch, error)
        except StoreError as error:
            if words:  # they may be at fault, when all was committed
                for append in batch:
                    append.tried = True
                await self._write(connection, batch)
            else:
                await self._fail(connection, batch, error)
        else:
            await self._settle(connection, batch, lost, {n for n, _, _ in words})

    def _words(self, batch: Sequence[Append]) -> list[tuple[int, str, str]]:
        """Give the messages of a batch: of which append, the channel, and what it says."""
        if self.teller is None:
            return []
        return [
            (append.number, channel, word)
            for append in batch
            if not append.tried
            for channel, word in self.teller.words(append.flow_id, append.epoch, append.entries)
        ]

    async def _fail(self, connection: Connection, batch: list[Append], error: StoreError) -> None:
        """Nothing of a batch was committed."""
        if isinstance(error, Unfit):
            if len(batch) == 1:
                self._finish(batch[0], DuplicateOperation() if isinstance(error, Clash) else error)
                return
            middle = len(batch) // 2
            await self._write(connection, batch[:middle])
            await self._write(connection, batch[middle:])
        else:
            for append in batch:
                self._finish(append, error)

    async def _settle(
        self,
        connection: Connection,
        batch: list[Append],
        lost: dict[int, bool | None],
        told: Set[int],
    ) -> None:
        """
        Tell the appends of a batch what became of them.

        :param lost: by number, those that were not written: whether the flow is deleted, ``None``
            for no flow.
        :param told: the numbers of those that were told of, if they were written.
        """
        doubtful = []
        for append in batch:
            if append.number not in lost:
                if append.number in told and self.teller is not None:
                    self.teller.told(append.flow_id, append.entries)
                self._finish(append)
            elif append.tried:
                doubtful.append(append)
            else:
                self._finish(append, _reason(lost[append.number]))
        for append in doubtful:
            try:
                done = await _is_done(connection, append)
            except ConnectionGone as error:
                self._again([append], error)
            except StoreError as error:
                self._finish(append, error)
            else:
                self._finish(append, None if done else _reason(lost[append.number]))

    def _again(self, batch: list[Append], error: StoreError) -> None:
        """
        Queue again, if there is time, what was lost with its connection, or met a server that only
        reads.
        """
        now = self._clock.seconds()
        for append in reversed(batch):
            append.tried = True
            append.told = error if isinstance(error, StoreReadOnly) else StoreUnavailable()
            if append.deadline <= now:
                self._finish(append, append.told)
            else:
                self._queue.appendleft(append)
        if self._queue:
            self._stop_expiring()
            self._expire_later()

    def _give_up(self, batch: list[Append]) -> None:
        """Fail what of a batch has no answer, and won't be tried again."""
        for append in batch:
            if not append.done.called and append not in self._queue:
                self._finish(append, StoreUnavailable())

    def _finish(self, append: Append, error: HelixError | None = None) -> None:
        behind = self._behind.get(append.flow_id)
        if behind:
            self._queue.append(behind.popleft())
        else:
            self._behind.pop(append.flow_id, None)
            self._occupied.discard(append.flow_id)
        if error is None:
            append.done.callback(None)
        else:
            append.done.errback(error)

    def _expire_later(self) -> None:
        wait = max(0.0, self._queue[0].deadline - self._clock.seconds())
        self._expiry = self._clock.callLater(wait, self._expire)

    def _stop_expiring(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def _expire(self) -> None:
        """Fail what has waited too long for a connection."""
        self._expiry = None
        now = self._clock.seconds()
        while self._queue and self._queue[0].deadline <= now:
            append = self._queue.popleft()
            self._finish(append, append.told)
        if self._queue:
            self._expire_later()


def _reason(deleted: bool | None) -> HelixError:
    if deleted is None:
        return FlowNotFound()
    return FlowDeleted() if deleted else VersionConflict()


async def _append(
    connection: Connection, batch: Sequence[Append], words: Sequence[tuple[int, str, str]]
) -> dict[int, bool | None]:
    """
    Commit a batch, and tell of it.

    :param words: the messages: of which append, the channel, and what it says.
    :return: those that were not written, as `Appends._settle` takes them.
    """
    asked = b"[%s]" % b",".join([append.asked for append in batch])
    by_authors = any(append.has_authors for append in batch)
    if words:
        statement = APPEND_BY_AUTHORS_TO_TELL if by_authors else APPEND_TO_TELL
        rows = await connection.run(statement, asked, tell(words))
        return read_lost(rows[0][0])
    rows = await connection.run(APPEND_BY_AUTHORS if by_authors else APPEND, asked)
    return {n: deleted for n, deleted, _ in rows}


async def _is_done(connection: Connection, append: Append) -> bool:
    """Tell whether the log holds the entries of an append where it wanted to have them."""
    rows = await connection.ask(
        ENTRIES,
        {
            "flow_id": pack(append.flow_id),
            "epoch": pack(append.epoch),
            "after": append.base_version,
            "limit": len(append.entries),
            "bytes": sum(len(entry.patch) for entry in append.entries),
        },
    )
    return [read_entry(row) for row in rows if row[0] is not None] == list(append.entries)
