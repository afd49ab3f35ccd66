"""One connection to the database: txpostgres and psycopg2 behind two methods."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from hashlib import sha256
from secrets import token_hex
from typing import Any, TypeVar

import attrs
import psycopg2
from psycopg2.extensions import POLL_OK, POLL_WRITE
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from txpostgres import txpostgres

from helix.errors import StoreError, StoreReadOnly, StoreUnavailable
from helix.store.postgresql.address import Address
from helix.store.postgresql.failures import (
    ConnectionGone,
    NotKept,
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
DURABLE = """
SELECT set_config('synchronous_commit',
    CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
    ELSE current_setting('synchronous_commit') END, true)
"""
"""Has its transaction's commit on the server's disk before it is confirmed."""

WRITING = f"BEGIN;{DURABLE}"
"""Begins a transaction that is durable likewise."""

# A plan that is kept outlives the sizes of the tables that it was made for: while they are small,
# the planner would rather read them whole.
_PLANNED_ONCE = "SET LOCAL enable_seqscan = off"


@attrs.frozen
class Prepared:
    """
    A statement that is run again and again, with a JSON text as its parameter ``$1``.

    :ivar name: by which a session of the server knows it, and no other one.
    """

    sql: str
    name: str = attrs.field(init=False)

    @name.default
    def _name(self) -> str:
        return f"helix_{sha256(self.sql.encode()).hexdigest()[:16]}"


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

    Once it is open, the reactor watches a duplicate of the socket. libpq may close its own at any
    time, and one that is closed while it is watched would stay in the reactor's books: whoever gets
    its number next would never be heard.

    :param gone: is told, perhaps more than once.

    :ivar notified: is told what another connection, or this one, has sent by ``NOTIFY``: who, as a
        process of the server, the channel and the payload.
    """

    def __init__(self, reactor: object, gone: Callable[[], None]) -> None:
        super().__init__(reactor)
        self._gone = gone
        self.notified: Notified | None = None
        self._posted: tuple[Deferred[Any], Any] | None = None
        self._tell_poster: Callable[[], None] | None = None
        self._watched = -1  # the duplicate

    def opened(self) -> None:
        """
        It is open: watch it from now on.

        :raises OSError: when the process has too many files open.
        """
        self.reactor.removeReader(self)
        if not self.closed and self.pollable().fileno() >= 0:
            self._watched = os.dup(self.pollable().fileno())
            self.reactor.addReader(self)

    def fileno(self) -> int:
        number: int = super().fileno() if self._watched < 0 else self._watched
        return number

    def _leave(self) -> None:
        """
        Have the reactor forget it, also where libpq has closed the socket: whoever gets that one's
        number next would be taken for it.
        """
        for remove in (self.reactor.removeReader, self.reactor.removeWriter):
            with suppress(OSError):  # what is closed, epoll doesn't know
                remove(self)

    def close(self) -> None:
        self._leave()
        super().close()
        if self._watched >= 0:
            os.close(self._watched)
            self._watched = -1

    def post(self, sql: str | bytes, parameters: Parameters | None = None) -> Deferred[Any]:
        """
        Run statements, while nothing else is under way.

        It takes a fraction of the time of txpostgres' cursor: the reactor goes on watching the same
        object, and who waits goes on in the turn in which the answer comes.

        :return: a Deferred that fires with psycopg2's cursor. To cancel it closes the connection.
        :raises psycopg2.Error: when it can't be sent; and through the Deferred.
        :raises UnicodeError: when the parameters can't be; nothing was sent.
        """
        cursor = self._connection.cursor()
        cursor.execute(sql, parameters)
        posted: Deferred[Any] = Deferred(lambda _: self._gone())
        self._posted = posted, cursor
        self.continuePolling()
        if self._tell_poster is not None:
            # It is answered already, as where others keep the processors busy. In the next turn,
            # so that the reactor sees to all others between one answer and the next.
            self.reactor.callLater(0, self._end_post)
        if self.closed:
            self._gone()
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

    def _continue_post(self, posted: Deferred[Any], cursor: object) -> None:
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
                self._tell_poster = partial(posted.callback, cursor)

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
            self._connection.poll()
            self.checkForNotifies()

    def continuePolling(self, swallowErrors: bool = False) -> None:
        if self._posted is not None:
            self._continue_post(*self._posted)
        else:
            if self._watched < 0:  # it connects: libpq may close its socket here
                self._leave()
            # What nobody waits for is told below; it needs no traceback in the log.
            super().continuePolling(swallowErrors=True)
        if not self.closed and self.pollable().fileno() < 0:
            # libpq gave the socket up while nothing was asked, and psycopg2 doesn't say so.
            # It can't be watched any more.
            self.pollable().close()

    def doRead(self) -> None:
        if self._watched < 0:  # it isn't open yet
            super().doRead()
        elif not self.closed:
            self.continuePolling()
            self.checkForNotifies()
        self._end_post()
        if self.closed:
            self._gone()

    def doWrite(self) -> None:
        super().doWrite()
        self._end_post()
        if self._watched >= 0 and self.closed:
            self._gone()

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
        self._prepared: set[str] = set()
        self._is_in_transaction = False
        self._due = 0.0  # when what is posted is given up
        self._timer: IDelayedCall | None = None

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
            self._wire.opened()
        except (psycopg2.Error, ConnectionDone, ConnectionLost, OSError) as error:
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
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            if self._wire.pollable() is not None:
                self._wire.close()
                self._wire.pollable().close()  # txpostgres leaves one that broke to the collector
        finally:
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
        return await self._run(sql, parameters, seconds or self.bounds.answer)

    async def post(self, sql: str) -> None:
        """
        Run statements of which no rows are wanted, in one transaction. The server isn't told how
        long they may take.

        :raises ConnectionGone: when it can't be known what became of them.
        :raises StoreError: when they had no effect.
        """
        await self._run(sql, None, self.bounds.answer)

    async def _run(
        self, sql: str | bytes, parameters: Parameters | None, seconds: float
    ) -> list[Row]:
        """Run statements, and give the rows of the last."""
        if self.is_gone:
            raise ConnectionGone()
        self._expect(seconds + GRACE)
        try:
            cursor = await self._wire.post(sql, parameters)
            self._wire.look_for_notices()
            if self._wire.closed:
                raise ConnectionGone()
            return cursor.fetchall() if cursor.description else []
        except UnicodeError:  # of the parameters: nothing was sent
            raise Unfit() from None
        except (psycopg2.Error, ConnectionDone, ConnectionLost) as error:
            explained = explain(error, self._wire.closed)
            # From one that only reads, the next one may lead to the server that took over.
            if isinstance(explained, (ConnectionGone, StoreReadOnly)):
                self.discard()
            raise explained from None

    def _expect(self, seconds: float) -> None:
        """
        See to it that what is posted now is given up after a while. One timer serves many, as most
        take a moment.
        """
        self._due = self._clock.seconds() + seconds
        if self._timer is not None and self._timer.getTime() > self._due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._clock.callLater(seconds, self._look)

    def _look(self) -> None:
        """Give up on an answer that takes too long."""
        self._timer = None
        if self._wire.is_posting:
            rest = self._due - self._clock.seconds()
            if rest > 0:
                self._timer = self._clock.callLater(rest, self._look)
            else:
                self.discard()

    async def write(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        """
        As `ask`, for a statement that is a transaction by itself, and durable once it is answered.
        """
        return await self.ask(f"{DURABLE};{sql}", parameters)

    async def run(self, statement: Prepared, given: bytes, then: str = "") -> list[Row]:
        """
        As `ask`, for a statement that is a transaction by itself: a connection of ours alone has
        the server keep it, which then plans it a few times, and no more.

        :param given: JSON, an array or an object.
        :param then: one to be run in another transaction, in the same round trip, whose rows are
            given. If anything fails, it can't be known what became of the first.
        """
        quoted, name = _quoted(given), statement.name
        if not self.is_pooled:
            try:
                if name not in self._prepared:
                    await self.ask(f"PREPARE {name} (json) AS {statement.sql}")
                    self._prepared.add(name)
                return await self._run_planned(b"EXECUTE %s(%s)" % (name.encode(), quoted), then)
            except NotKept:
                self.is_pooled = True  # by a pooler that shows us the server's own process
        return await self._run_planned(statement.sql.encode().replace(b"$1", quoted), then)

    async def _run_planned(self, sql: bytes, then: str) -> list[Row]:
        sql = f"{self._settings};{_PLANNED_ONCE};".encode() + sql
        if not then:
            return await self._run(sql, None, self.bounds.answer)
        self._is_in_transaction = True
        try:
            sql = b"BEGIN;%s;COMMIT;%s" % (sql, then.encode())
            return await self._run(sql, None, self.bounds.answer)
        except StoreError:
            await self._roll_back()
            raise
        finally:
            self._is_in_transaction = False

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


def _quoted(json: bytes) -> bytes:
    """Write JSON as SQL, as it is: between two tags that aren't in it, and don't begin in it."""
    tag = b"$json$"
    while tag in json:
        tag = b"$json%s$" % token_hex(8).encode()
    return tag + json + tag


def _literal(text: str) -> str:
    """Write a text as SQL in which nothing means anything to psycopg2 or to the server."""
    return "E'" + "".join(one if one.isalnum() else f"\\U{ord(one):08x}" for one in text) + "'"
