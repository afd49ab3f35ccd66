"""One connection to the database: txpostgres and psycopg2 behind two methods."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import attrs
import psycopg2
from psycopg2.extensions import POLL_OK, POLL_WRITE
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from txpostgres import txpostgres

from helix.errors import StoreError, StoreReadOnly, StoreUnavailable
from helix.store.postgresql.address import Address
from helix.store.postgresql.failures import (
    ConnectionGone,
    Refused,
    Unfit,
    explain,
    explain_attempt,
)

T = TypeVar("T")
Row = tuple[Any, ...]
Parameters = Mapping[str, object]
Notified = Callable[[int, str, str], None]

GRACE = 0.5
"""Seconds after which a server that should have given up a statement is taken for dead."""

# For the transaction that it is in alone: a connection may be a pooler's, and the next transaction
# on it somebody else's.
_SETTINGS = """SET LOCAL statement_timeout = {answer_ms};
SET LOCAL idle_in_transaction_session_timeout = {answer_ms};
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off"""

_READ_ONLY = "SET LOCAL transaction_read_only = on"

_SEEN = """
SELECT current_setting('transaction_read_only') = 'on', pg_backend_pid()
"""

# Likewise.
_DURABLE = """
SELECT set_config('synchronous_commit',
    CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
    ELSE current_setting('synchronous_commit') END, true)
"""

WRITING = f"BEGIN;{_DURABLE}"
"""Begins a transaction whose commit is on the server's disk before it is confirmed."""


@attrs.frozen
class Bounds:
    """
    How long what is waited for.

    :ivar start: seconds that the server may be away when the store starts.
    :ivar wait: seconds that work waits for a connection, and is tried again after losing one.
    :ivar answer: seconds that one statement may take.
    :ivar long_answer: the same for one that removes whole logs.
    :ivar upgrade: the same for one that changes the schema, and so may write all logs anew.
    """

    start: float = 30.0
    wait: float = 5.0
    answer: float = 8.0
    long_answer: float = 120.0
    upgrade: float = 3600.0


class _Wire(txpostgres.Connection):  # type: ignore[misc]  # it has no types
    """
    A connection of txpostgres that says when it is gone.

    :param gone: is told, perhaps more than once.

    :ivar notified: is told what another connection, or this one, has sent by ``NOTIFY``: who, as a
        process of the server, the channel and the payload.
    """

    def __init__(self, reactor: object, gone: Callable[[], None]) -> None:
        super().__init__(reactor)
        self._gone = gone
        self.notified: Notified | None = None
        self._posted: tuple[Deferred[None], object] | None = None  # psycopg2 needs the cursor
        self._tell_poster: Callable[[], None] | None = None

    def post(self, sql: str) -> Deferred[None]:
        """
        Run statements of which no rows are wanted, while nothing else is under way.

        It takes a fraction of a cursor's time: the reactor goes on watching the same object, and
        who waits goes on in the turn in which the answer comes.

        :raises psycopg2.Error: when it can't be sent; and through the Deferred.
        """
        cursor = self._connection.cursor()
        self.ignore()
        cursor.execute(sql)
        posted: Deferred[None] = Deferred()
        self._posted = posted, cursor
        self.continuePolling()
        self._watch_if_open()
        self._end_post()
        return posted

    @property
    def is_posting(self) -> bool:
        """Whether something that was posted is under way."""
        return self._posted is not None

    def _end_post(self) -> None:
        """Let who has posted something go on, once it is answered."""
        tell, self._tell_poster = self._tell_poster, None
        if tell is not None:
            tell()

    def _continue_post(self, posted: Deferred[None]) -> None:
        try:
            state = self._connection.poll()
        except psycopg2.Error:
            self._posted = None
            self._tell_poster = partial(posted.errback, Failure())
        else:
            if state == POLL_WRITE:
                self.reactor.addWriter(self)
            elif state == POLL_OK:
                self._posted = None
                self._tell_poster = partial(posted.callback, None)

    def checkForNotifies(self) -> None:
        # At once, where txpostgres would tell of them later, and perhaps in another order.
        notices = self._connection.notifies
        if notices:
            told = notices[:]
            del notices[:]
            for one in told:
                if self.notified is not None:
                    self.notified(one.pid, one.channel, one.payload)

    def look_for_notices(self) -> None:
        """
        Tell of those that came with an answer: psycopg2 looks for them before it reads that.

        :raises psycopg2.Error: when the connection turns out to be lost.
        """
        if self.notified is not None and not self.closed:
            self.ignore()
            self._connection.poll()
            self.watch()
            self.checkForNotifies()

    def ignore(self) -> None:
        """
        Watch the socket no more, before libpq is asked for what may close it.

        A socket that is closed while the reactor watches it stays in the reactor's books, and
        whoever gets its number next is never heard.
        """
        self.reactor.removeReader(self)

    def watch(self) -> None:
        """Watch the socket again."""
        self.reactor.addReader(self)

    def _watch_if_open(self) -> None:
        if not self.closed:
            self.watch()

    def continuePolling(self, swallowErrors: bool = False) -> None:
        if self._posted is not None:
            self._continue_post(self._posted[0])
        else:
            # What nobody waits for is told below; it needs no traceback in the log.
            super().continuePolling(swallowErrors=True)
        if not self.closed and self.fileno() < 0:
            # libpq gave the socket up while nothing was asked, and psycopg2 doesn't say so.
            # It can't be watched any more.
            self.pollable().close()

    def doRead(self) -> None:
        super().doRead()
        self._end_post()
        if self.closed:
            self._gone()

    def doWrite(self) -> None:
        self.ignore()
        super().doWrite()
        self._watch_if_open()
        self._end_post()

    def connectionLost(self, reason: Failure) -> None:
        super().connectionLost(reason)
        if self._posted is not None and self.closed:
            (posted, _), self._posted = self._posted, None
            posted.errback(reason)
        self._end_post()
        self._gone()


class Connection:
    """
    A connection on which one thing is done at a time.

    :ivar gone: fires when it is closed, by whomever.
    :ivar is_gone: whether it is.
    :ivar only_reads: whether the server took no writes when it was opened.
    :ivar is_pooled: whether somebody stands between us and the server who gives out connections.
    :ivar bounds: what everything on it is held to.
    """

    def __init__(self, reactor: object, bounds: Bounds) -> None:
        self.gone: Deferred[None] = Deferred()
        self.is_gone = self.only_reads = self.is_pooled = False
        self._reactor = reactor
        self._clock = IReactorTime(reactor)
        self.bounds = bounds
        self._wire = _Wire(reactor, self.discard)
        self._settings = ""
        self._is_in_transaction = False
        self._posted_at = 0.0
        self._post_timer: IDelayedCall | None = None

    async def open(self, address: Address, attempt: int) -> None:
        """
        Connect, in two bounded steps: the name, if there is one, and the rest.

        :param attempt: how many there were before.
        :raises Refused: when the server doesn't let us in.
        :raises StoreUnavailable: when it can't be reached, or `discard` was asked for meanwhile.
        """
        parameters = await address.resolve(self._reactor, attempt, self.bounds.wait)
        if self.is_gone:
            raise ConnectionGone()  # there was nothing to close yet, and nobody would close it now
        timer = self._clock.callLater(self.bounds.wait, self.discard)
        try:
            await self._wire.connect(**parameters)
        except (psycopg2.Error, ConnectionDone, ConnectionLost) as error:
            self.discard()
            raise explain_attempt(error, address) from None  # whose text may be too outspoken
        except ValueError:
            # txpostgres is told of its success a turn later, and then watches a socket that may
            # have been closed in between, which epoll refuses.
            if not self.is_gone:
                raise
            raise ConnectionGone() from None
        finally:
            if timer.active():
                timer.cancel()
        self._settings = _local_settings(address, self.bounds.answer)
        try:
            self.only_reads, process = (await self.ask(_SEEN))[0]
        except StoreUnavailable:
            raise
        except StoreError:
            raise Refused(f"{address} doesn't take the settings in the URL's options") from None
        self.is_pooled = process != self._wire.pollable().get_backend_pid()

    def tell(self, notified: Notified) -> None:
        """
        Tell from now on what comes by ``NOTIFY`` on the channels that are listened to, in order.

        :param notified: is told the process of the server that has sent it, the channel and the
            payload. It mustn't raise.
        """
        self._wire.notified = notified

    def discard(self) -> None:
        """Close it. What is under way fails."""
        if self.is_gone:
            return
        self.is_gone = True
        if self._post_timer is not None:
            self._post_timer.cancel()
            self._post_timer = None
        if self._wire.pollable() is not None:
            self._wire.close()
            self._wire.pollable().close()  # txpostgres leaves one that broke to the collector
        self.gone.callback(None)

    async def ask(
        self, sql: str, parameters: Parameters | None = None, seconds: float | None = None
    ) -> list[Row]:
        """
        Run a statement, which is a transaction by itself unless it is in one.

        :param seconds: how long it may take, where that isn't the bound of all. Only within a
            transaction, for the rest of which the server is told.
        :return: its rows; none for one that has none.
        :raises ConnectionGone: when it can't be known what became of it.
        :raises StoreError: when it had no effect.
        """
        if seconds is not None:
            await self.ask(f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
        if not self._is_in_transaction:
            sql = f"{self._settings};{sql}"
        limit = (seconds or self.bounds.answer) + GRACE
        timer = self._clock.callLater(limit, self.discard)
        try:
            cursor = self._wire.cursor()
            self._wire.ignore()
            await cursor.execute(sql, parameters)
            self._wire.look_for_notices()
            return cursor.fetchall() if cursor.description else []
        except UnicodeError:  # of the parameters: nothing was sent
            self._wire.watch()
            raise Unfit() from None
        except CancelledError:  # so txpostgres says that the server gave it up, after `seconds`
            raise StoreUnavailable() from None
        except (psycopg2.Error, ConnectionDone, ConnectionLost) as error:
            explained = explain(error, self._wire.closed)
            # From one that only reads, the next one may lead to the server that took over.
            if isinstance(explained, (ConnectionGone, StoreReadOnly)):
                self.discard()
            raise explained from None
        finally:
            if timer.active():
                timer.cancel()

    async def post(self, sql: str) -> None:
        """
        Run statements of which no rows are wanted, in one transaction and in less time than `ask`
        takes. The server isn't told how long they may take.

        :raises ConnectionGone: when it can't be known what became of them.
        :raises StoreError: when they had no effect.
        """
        self._posted_at = self._clock.seconds()
        if self._post_timer is None:
            self._post_timer = self._clock.callLater(self._limit, self._look_at_post)
        try:
            await self._wire.post(sql)
            self._wire.look_for_notices()
            if self._wire.closed:
                raise ConnectionGone()
        except UnicodeError:
            raise Unfit() from None
        except (psycopg2.Error, ConnectionDone, ConnectionLost) as error:
            explained = explain(error, self._wire.closed)
            if isinstance(explained, ConnectionGone):
                self.discard()
            raise explained from None

    @property
    def _limit(self) -> float:
        return self.bounds.answer + GRACE

    def _look_at_post(self) -> None:
        """Give up on one that takes too long. One timer serves many, as most take a moment."""
        self._post_timer = None
        if self._wire.is_posting:
            rest = self._posted_at + self._limit - self._clock.seconds()
            if rest > 0:
                self._post_timer = self._clock.callLater(rest, self._look_at_post)
            else:
                self.discard()

    async def write(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        """
        As `ask`, for a statement that is a transaction by itself, and durable once it is answered.
        """
        return await self.ask(f"{_DURABLE};{sql}", parameters)

    async def transaction(self, work: Callable[[], Awaitable[T]], begin: str = WRITING) -> T:
        """
        Do ``work`` in a transaction: all that it asks for happens, or nothing.

        :param begin: what starts it.
        """
        self._is_in_transaction = True
        try:
            await self.ask(f"{begin};{self._settings}")
            try:
                result = await work()
            except BaseException:
                await self._roll_back()
                raise
            await self.ask("COMMIT")
        finally:
            self._is_in_transaction = False
        return result

    async def _roll_back(self) -> None:
        if self.is_gone:
            return
        try:
            await self.ask("ROLLBACK")
        except StoreError:
            self.discard()


def _local_settings(address: Address, seconds: float) -> str:
    """
    Give the statements that set up the transaction that they are in.

    :param seconds: that one of its statements may take.
    """
    given = [
        f"SELECT set_config({_literal(name)}, {_literal(value)}, true)"
        for name, value in address.settings
    ]
    own = _SETTINGS.format(answer_ms=int(seconds * 1000))
    return ";".join([*given, own, *([_READ_ONLY] if address.read_only else [])])


def _literal(text: str) -> str:
    """Write a text as SQL in which nothing means anything to psycopg2 or to the server."""
    return "E'" + "".join(one if one.isalnum() else f"\\U{ord(one):08x}" for one in text) + "'"
