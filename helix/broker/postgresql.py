"""A broker over PostgreSQL's LISTEN and NOTIFY. (docs/adr/0024-several-nodes.md)"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from helix.broker.carrier import Carrier, Heard
from helix.broker.subscriptions import channel_name
from helix.errors import StoreError
from helix.interfaces import ITeller
from helix.records import Entry
from helix.store.postgresql.address import Address
from helix.store.postgresql.pool import Pool
from helix.store.postgresql.queries import literal
from helix.store.postgresql.store import PostgresStore
from helix.store.postgresql.wire import Bounds, Connection

MAX_BYTES = 7500
"""Bytes of the largest message; PostgreSQL takes less than 8,000."""

PREFIX = "helix_"
"""With what the names of all channels begin."""

POOLED_PATIENCE = 30.0
"""Seconds until we look again whether a pooler gives each transaction another connection."""

POOLED = (
    "The pooler in front of PostgreSQL gives each transaction another connection (PgBouncer:"
    " pool_mode = transaction), so it can't carry messages between nodes: give --broker the address"
    " of PostgreSQL itself, or of a pool in session mode; or none, if this node is the only one"
)

_PROCESS = "SELECT pg_backend_pid()"

_WHERE = "SELECT pg_backend_pid(), COALESCE(current_schema(), '')"


class PostgresBroker(Carrier):
    """
    Carries messages over a database. Stores in several schemas of it don't hear each other.

    Messages that go together go in one transaction of their own. Those of appends go with them, if
    the store is in the same place.

    :param url: as that of a store.
    :param store: whose appends are told of.
    :raises StoreError: when it can't be read.
    """

    def __init__(
        self,
        url: str,
        reactor: object,
        bounds: Bounds = Bounds(),  # noqa: B008  # immutable
        store: PostgresStore | None = None,
    ) -> None:
        super().__init__(_PostgresLinks(url, reactor, bounds), IReactorTime(reactor))
        self._store = store if store is not None and store.is_at(url) else None

    def tell_by_appends(self, teller: ITeller) -> None:
        if self._store is not None:
            self._store.tell_by(_ByAppends(self, teller))


class _ByAppends:
    """Has a store tell what a teller says, on the channels of a broker."""

    def __init__(self, broker: PostgresBroker, teller: ITeller) -> None:
        self._broker = broker
        self._teller = teller

    def words(
        self, flow_id: str, epoch: str, entries: Sequence[Entry]
    ) -> Sequence[tuple[str, str]]:
        word = self._teller.word(flow_id, epoch, entries)
        if word is None:
            return ()
        text = word.message.decode()
        return [(channel, text) for channel in self._broker.channels(word.topics)]

    def told(self, flow_id: str, entries: Sequence[Entry]) -> None:
        self._teller.told(flow_id, entries)


class _PostgresLinks:
    max_bytes = MAX_BYTES
    silence = (
        "PostgreSQL carries no messages between nodes: it doesn't answer, or a pooler in front of"
        " it gives each transaction another connection (give --broker an address without it)"
    )

    _log: Final = Logger(namespace="helix.broker")

    def __init__(self, url: str, reactor: object, bounds: Bounds) -> None:
        self._is_warned = False
        self._pool = Pool(Address.parse(url, name="helix broker"), reactor, bounds, 1)

    def __str__(self) -> str:
        return "PostgreSQL"

    def start(self) -> None:
        self._pool.start()

    async def stop(self) -> None:
        await self._pool.stop()

    async def take(self, heard: Heard) -> _PostgresLink:
        while True:
            connection = await self._pool.take()
            try:
                if connection.is_pooled and not await self._is_ours(connection):
                    self._warn()
                    await self._pool.rest(POOLED_PATIENCE)
                else:
                    return await _PostgresLink.begin(connection, heard, self._pool)
            except StoreError:
                pass  # the pool opens another, in a while
            connection.discard()

    def _warn(self) -> None:
        if not self._is_warned:
            self._is_warned = True
            self._log.warn("{reason}", reason=POOLED)

    async def _is_ours(self, connection: Connection) -> bool:
        """
        Tell whether a connection to the server stays ours, before anything is left on it: while
        another client of the pooler holds a transaction open, its connection can't be ours, too.

        :raises StoreError: when that can't be known.
        """
        process = await connection.ask(_PROCESS)
        other = await self._pool.open()
        try:

            async def look() -> bool:
                theirs = await other.ask(_PROCESS)
                return process == await connection.ask(_PROCESS) != theirs

            return await other.transaction(look)
        finally:
            other.discard()


class _PostgresLink:
    """
    :param process: of the server, which serves this connection.
    :param pool: has more connections to the same place.
    """

    def __init__(
        self, connection: Connection, heard: Heard, process: int, schema: str, pool: Pool
    ) -> None:
        self.gone: Deferred[None] = connection.gone
        self.own_channel = f"{PREFIX}node_{process}"
        self._connection = connection
        self._heard = heard
        self._process = process
        self._schema = schema
        self._pool = pool

    @classmethod
    async def begin(cls, connection: Connection, heard: Heard, pool: Pool) -> _PostgresLink:
        """
        Listen to what is for this connection alone.

        :raises StoreError: when that can't be.
        """
        process, schema = (await connection.ask(_WHERE))[0]
        link = cls(connection, heard, process, schema, pool)
        connection.tell(link._notified)
        await link.listen([link.own_channel], [])
        return link

    @property
    def is_gone(self) -> bool:
        return self._connection.is_gone

    def channel(self, topic: str) -> str:
        return PREFIX + channel_name(self._schema, topic)

    async def listen(self, new: Sequence[str], old: Sequence[str]) -> None:
        statements = [f'LISTEN "{one}"' for one in new] + [f'UNLISTEN "{one}"' for one in old]
        await self._connection.ask(";".join(statements))

    async def send(self, messages: Sequence[tuple[str, bytes]]) -> None:
        statements = ";".join([_notify(*one) for one in messages])
        own = any(channel == self.own_channel for channel, _ in messages)
        if not self._connection.is_pooled or not own:
            await self._connection.post(statements)
            return
        # What a connection that a pooler shares out sends itself may come, though nothing else
        # does. So this comes from another one.
        other = await self._pool.open()
        try:
            await other.post(statements)
        finally:
            other.discard()

    async def leave(self) -> None:
        await self._connection.ask("UNLISTEN *")  # a pooler may give it to somebody else

    def discard(self) -> None:
        self._connection.discard()

    def _notified(self, process: int, channel: str, message: str) -> None:
        if process != self._process or channel == self.own_channel:
            self._heard(channel, message.encode())


def _notify(channel: str, message: bytes) -> str:
    """
    Make the statement that sends a message.

    It means the same with ``standard_conforming_strings`` off. ``NOTIFY`` itself would be a little
    faster, but ``pg_stat_statements`` would keep each message of it as a statement of its own.
    """
    return f"SELECT pg_notify('{channel}',{literal(message.decode())})"
