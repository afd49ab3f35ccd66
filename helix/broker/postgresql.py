"""A broker over PostgreSQL's LISTEN and NOTIFY. (docs/adr/0024-several-nodes.md)"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from hashlib import sha256
from itertools import count
from typing import Final

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from helix.errors import StoreError, StoreUnavailable
from helix.interfaces import IBroker, IBrokerListener
from helix.store.postgresql.address import Address
from helix.store.postgresql.pool import Pool
from helix.store.postgresql.wire import Bounds, Connection

MAX_BYTES = 7500
"""Bytes of the largest message; PostgreSQL takes less than 8,000."""

MAX_WAITING_BYTES = 4 * 1024 * 1024
"""Bytes that may wait to be sent. Beyond this the connection is given up as too slow."""

AT_ONCE = 500
"""Messages, or channels, of one statement."""

ECHO_SECONDS = 10.0
"""How often the connection is tried: it has to carry a message to ourselves."""

ECHO_PATIENCE = 5.0
"""Seconds that such a message may take."""

STOP_PATIENCE = 1.0
"""Seconds in which what waits may still be sent at the end."""

PREFIX = "helix_"
"""With what the names of all channels begin."""

_CHANNEL_BYTES = 16
"""Of a topic's hash, in the name of its channel: so many that no two topics share one."""

_WHERE = "SELECT pg_backend_pid(), COALESCE(current_schema(), '')"

_SEND = """
SELECT pg_notify(channel, message)
FROM unnest(%(channels)s::text[], %(messages)s::text[]) AS sent (channel, message)
"""


@implementer(IBroker)
class PostgresBroker:
    """
    Carries messages over a database, by a connection of its own.

    A channel is named after a hash of the schema and the topic: stores in several schemas of a
    database don't disturb each other, and names are short and harmless.

    What is sent in one turn of the reactor, or while the last statement is under way, goes with one
    statement, which is a transaction of its own.

    :param url: as that of a store.
    :raises StoreError: when it can't be read.

    :ivar is_up: whether messages are carried now.
    """

    max_bytes = MAX_BYTES

    _log: Final = Logger(namespace="helix.broker")

    def __init__(
        self,
        url: str,
        reactor: object,
        bounds: Bounds = Bounds(),  # noqa: B008  # immutable
    ) -> None:
        self.is_up = False
        self._clock = IReactorTime(reactor)
        self._pool = Pool(Address.parse(url, name="helix broker"), reactor, bounds, 1)
        self._listener: IBrokerListener | None = None
        self._topics: dict[str, None] = {}
        self._channels: dict[str, str] = {}  # of the connection: channel -> topic
        self._changed: dict[str, None] = {}
        self._waiting: deque[tuple[str, str]] = deque()
        self._waiting_bytes = 0
        self._connection: Connection | None = None
        self._own_process = 0
        self._schema = ""
        self._wake: Deferred[None] | None = None
        self._waking: IDelayedCall | None = None
        self._echoes = count(1)
        self._echo = ""
        self._echo_due = False
        self._echo_timer: IDelayedCall | None = None
        self._is_warned = False
        self._is_stopping = False
        self._running: Deferred[None] | None = None

    def start(self, listener: IBrokerListener) -> None:
        self._listener = listener
        self._pool.start()
        self._running = Deferred.fromCoroutine(self._run())
        self._running.addErrback(lambda failure: self._log.failure("The broker failed", failure))

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._is_stopping = True
        if self._running is None:
            return
        if self.is_up:
            self._wake_soon()
            ended: Deferred[None] = Deferred()
            self._running.addCallback(lambda _: None if ended.called else ended.callback(None))
            with suppress(defer.TimeoutError):
                await ended.addTimeout(STOP_PATIENCE, self._clock)
        await self._pool.stop()
        await self._running
        if self._waking is not None:
            self._waking.cancel()
            self._waking = None

    def subscribe(self, topic: str) -> None:
        self._topics[topic] = None
        self._change(topic)

    def unsubscribe(self, topic: str) -> None:
        if topic in self._topics:
            del self._topics[topic]
            self._change(topic)

    def publish(self, topic: str, message: bytes) -> None:
        if not self.is_up:
            return
        if self._waiting_bytes + len(message) > MAX_WAITING_BYTES and self._connection is not None:
            self._log.warn("PostgreSQL is too slow with messages to other nodes")
            self._connection.discard()
            return
        self._waiting.append((self._channel(topic), message.decode()))
        self._waiting_bytes += len(message)
        self._wake_soon()

    # inside

    def _change(self, topic: str) -> None:
        if self._connection is not None:
            self._changed[topic] = None
            self._wake_soon()

    def _channel(self, topic: str) -> str:
        named = f"{self._schema}\0{topic}".encode("utf-8", "surrogatepass")
        return PREFIX + sha256(named).digest()[:_CHANNEL_BYTES].hex()

    def _wake_soon(self) -> None:
        """Let what is to be done be done after this turn, so that all of it goes together."""
        if self._waking is None:
            self._waking = self._clock.callLater(0, self._awake)

    def _awake(self) -> None:
        self._waking = None
        wake, self._wake = self._wake, None
        if wake is not None:
            wake.callback(None)

    async def _run(self) -> None:
        """Keep a connection, until the pool is closed."""
        while not self._is_stopping:
            try:
                connection = await self._pool.take()
            except StoreUnavailable:
                return
            connection.gone.addCallback(lambda _: self._wake_soon())
            try:
                await self._begin(connection)
                await self._serve(connection)
            except StoreError as error:
                self._complain(error)
            finally:
                self._end(connection)

    def _complain(self, error: StoreError) -> None:
        if self.is_up and not self._is_stopping:
            self._log.warn("Messages to other nodes fail: {reason}", reason=error.message)

    async def _begin(self, connection: Connection) -> None:
        """
        Listen to everything.

        :raises StoreError: when that can't be.
        """
        connection.tell(self._notified)
        self._own_process, self._schema = (await connection.ask(_WHERE))[0]
        self._connection = connection
        self._channels.clear()
        self._changed = dict.fromkeys(self._topics)
        await connection.ask(f'LISTEN "{self._own_channel}"')
        await self._listen(connection)
        self._echo_due = True

    @property
    def _own_channel(self) -> str:
        return f"{PREFIX}node_{self._own_process}"

    async def _serve(self, connection: Connection) -> None:
        """Do what there is to do, until the connection is lost, or all is done at the end."""
        while not connection.is_gone:
            if self._changed:
                await self._listen(connection)
            elif self._waiting:
                await self._send(connection)
            elif self._is_stopping:
                return
            elif self._echo_due:
                await self._ask_for_echo(connection)
            else:
                self._wake = Deferred()
                await self._wake

    async def _listen(self, connection: Connection) -> None:
        """Listen to the channels of new topics, and no more to those of old ones."""
        new: list[str] = []
        while self._changed:
            some = list(self._changed)[:AT_ONCE]
            statements = []
            for topic in some:
                del self._changed[topic]
                channel = self._channel(topic)
                if (topic in self._topics) == (channel in self._channels):
                    continue
                if topic in self._topics:
                    self._channels[channel] = topic
                    statements.append(f'LISTEN "{channel}"')
                    new.append(topic)
                else:
                    del self._channels[channel]
                    statements.append(f'UNLISTEN "{channel}"')
            if statements:
                await connection.ask(";".join(statements))
        if self.is_up and new and self._listener is not None:
            self._listener.subscribed(new)

    async def _send(self, connection: Connection) -> None:
        some = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
        channels, messages = map(list, zip(*some, strict=True))
        try:
            await connection.ask(_SEND, {"channels": channels, "messages": messages})
        finally:
            self._waiting_bytes -= sum(len(message.encode()) for message in messages)

    # whether it works

    async def _ask_for_echo(self, connection: Connection) -> None:
        """
        Send a message to ourselves. If it doesn't come, the server is gone without a word, or
        somebody between us and it passes only statements on.
        """
        self._echo_due = False
        self._echo = str(next(self._echoes))
        self._stop_echo_timer()
        self._echo_timer = self._clock.callLater(ECHO_PATIENCE, self._miss_echo, connection)
        sent = {"channels": [self._own_channel], "messages": [self._echo]}
        await connection.ask(_SEND, sent)

    def _miss_echo(self, connection: Connection) -> None:
        self._echo_timer = None
        if not self._is_warned:
            self._is_warned = True
            self._log.warn(
                "PostgreSQL carries no messages between nodes: it doesn't answer, or a pooler in"
                " front of it gives each transaction another connection (give --broker an address"
                " without it)"
            )
        connection.discard()

    def _hear_echo(self) -> None:
        self._stop_echo_timer()
        self._echo_timer = self._clock.callLater(ECHO_SECONDS, self._want_echo)
        if not self.is_up and self._listener is not None:
            self.is_up, self._is_warned = True, False
            self._listener.came_back()
            self._listener.subscribed(list(self._topics))

    def _want_echo(self) -> None:
        self._echo_timer = None
        self._echo_due = True
        self._wake_soon()

    def _stop_echo_timer(self) -> None:
        timer, self._echo_timer = self._echo_timer, None
        if timer is not None:
            timer.cancel()

    def _notified(self, process: int, channel: str, message: str) -> None:
        if channel == self._own_channel:
            if message == self._echo:
                self._hear_echo()
            return
        topic = self._channels.get(channel)
        if process != self._own_process and topic is not None and self._listener is not None:
            try:
                self._listener.heard(topic, message.encode())
            except Exception:
                self._log.failure("A message of another node could not be taken")

    def _end(self, connection: Connection) -> None:
        """The connection is of no more use."""
        connection.discard()
        self._connection = None
        self._stop_echo_timer()
        self._echo, self._echo_due = "", False
        self._waiting.clear()
        self._waiting_bytes = 0
        if self.is_up:
            self.is_up = False
            if self._listener is not None:
                self._listener.went_away()
