"""A broker over PostgreSQL's LISTEN and NOTIFY. (docs/adr/0024-several-nodes.md)"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from helix.broker.carrier import Carrier, Heard
from helix.broker.subscriptions import channel_name
from helix.errors import StoreError
from helix.store.postgresql.address import Address
from helix.store.postgresql.pool import Pool
from helix.store.postgresql.wire import Bounds, Connection

MAX_BYTES = 7500
"""Bytes of the largest message; PostgreSQL takes less than 8,000."""

PREFIX = "helix_"
"""With what the names of all channels begin."""

_WHERE = "SELECT pg_backend_pid(), COALESCE(current_schema(), '')"

_SEND = """
SELECT pg_notify(channel, message)
FROM unnest(%(channels)s::text[], %(messages)s::text[]) AS sent (channel, message)
"""


class PostgresBroker(Carrier):
    """
    Carries messages over a database. Stores in several schemas of it don't hear each other.

    Messages that go together go with one statement, which is a transaction of its own.

    :param url: as that of a store.
    :raises StoreError: when it can't be read.
    """

    def __init__(
        self,
        url: str,
        reactor: object,
        bounds: Bounds = Bounds(),  # noqa: B008  # immutable
    ) -> None:
        super().__init__(_PostgresLinks(url, reactor, bounds), IReactorTime(reactor))


class _PostgresLinks:
    max_bytes = MAX_BYTES
    silence = (
        "PostgreSQL carries no messages between nodes: it doesn't answer, or a pooler in front of"
        " it gives each transaction another connection (give --broker an address without it)"
    )

    def __init__(self, url: str, reactor: object, bounds: Bounds) -> None:
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
                return await _PostgresLink.begin(connection, heard)
            except StoreError:
                connection.discard()  # the pool opens another, in a while


class _PostgresLink:
    """
    :param process: of the server, which serves this connection.
    """

    def __init__(self, connection: Connection, heard: Heard, process: int, schema: str) -> None:
        self.gone: Deferred[None] = connection.gone
        self.own_channel = f"{PREFIX}node_{process}"
        self._connection = connection
        self._heard = heard
        self._process = process
        self._schema = schema

    @classmethod
    async def begin(cls, connection: Connection, heard: Heard) -> _PostgresLink:
        """
        Listen to what is for this connection alone.

        :raises StoreError: when that can't be.
        """
        process, schema = (await connection.ask(_WHERE))[0]
        link = cls(connection, heard, process, schema)
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
        if statements:
            await self._connection.ask(";".join(statements))

    async def send(self, messages: Sequence[tuple[str, bytes]]) -> None:
        channels = [channel for channel, _ in messages]
        texts = [message.decode() for _, message in messages]
        await self._connection.ask(_SEND, {"channels": channels, "messages": texts})

    def discard(self) -> None:
        self._connection.discard()

    def _notified(self, process: int, channel: str, message: str) -> None:
        if process != self._process or channel == self.own_channel:
            self._heard(channel, message.encode())
