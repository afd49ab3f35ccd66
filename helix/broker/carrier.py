"""What all brokers over a server do alike: keep a connection, and send and hear over it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from zope.interface import implementer

from helix.broker.echo import Echo
from helix.broker.subscriptions import Subscriptions
from helix.errors import StoreError, StoreUnavailable
from helix.interfaces import IBroker, IBrokerListener, ITeller

MAX_WAITING_BYTES = 8 * 1024 * 1024
"""Bytes that may wait to be sent. Beyond this the connection is given up as too slow."""

AT_ONCE = 500
"""Messages, or channels, that go to the server together."""

SEND_SECONDS = 0.002
"""How often messages go to the server at most; what comes meanwhile goes with the next."""

FAULT_PAUSE = 5.0
"""Seconds after a fault of our own until it connects again."""

STOP_PATIENCE = 1.0
"""Seconds in which what waits may still be sent at the end."""

Heard = Callable[[str, bytes], None]
"""Is told the channel and the message."""


class Link(Protocol):
    """
    A connection to a server, on which one thing is done at a time.

    What is told of messages hears no message that this link has sent, except those to
    ``own_channel``.

    :ivar gone: fires when it is closed, by whomever.
    :ivar is_gone: whether it is.
    :ivar own_channel: the channel of this link alone, to which it listens from the start.
    """

    gone: Deferred[None]
    own_channel: str

    @property
    def is_gone(self) -> bool: ...

    def channel(self, topic: str) -> str:
        """Give the channel of a topic."""

    async def listen(self, new: Sequence[str], old: Sequence[str]) -> None:
        """
        Listen to new channels, and no more to old ones; there are some. It returns when the server
        has confirmed.

        :raises StoreError: when that can't be.
        """

    async def send(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """
        Send messages to channels, in order. It returns when the server has all of them.

        :raises StoreError: when that can't be; some may have been sent.
        """

    async def leave(self) -> None:
        """
        Leave nothing of it on the server, before it is closed in order.

        :raises StoreError: when that can't be.
        """

    def discard(self) -> None:
        """Close it. What is under way fails."""


class Links(Protocol):
    """
    Makes the connections to a server, one after another.

    :ivar max_bytes: bytes of the largest message.
    :ivar silence: what to say where the server carries no messages, though there is a connection.
    """

    max_bytes: int
    silence: str

    def start(self) -> None:
        """Begin."""

    async def stop(self) -> None:
        """Close the connection, and make none any more."""

    async def take(self, heard: Heard) -> Link:
        """
        Wait for the next connection, for as long as that takes; the last one is gone.

        :param heard: is told what comes to the channels. It mustn't raise.
        :raises StoreUnavailable: when `stop` was called.
        """

    def __str__(self) -> str:
        """Name the server, without any password."""


@implementer(IBroker)
class Carrier:
    """
    Carries messages over a server that passes them on, by a connection of its own.

    A channel is named after a hash of the topic and of something of the store, so stores that share
    a server don't disturb each other, and names are short and harmless.

    What is sent in one turn of the reactor, while the last messages are under way, or within
    `SEND_SECONDS` after them, goes together. It counts as up once a message to itself has come
    back.

    :ivar is_up: whether messages are carried now.
    """

    _log: Final = Logger(namespace="helix.broker")

    def __init__(self, links: Links, clock: IReactorTime) -> None:
        self.is_up = False
        self.max_bytes = links.max_bytes
        self._links = links
        self._clock = clock
        self._listener: IBrokerListener | None = None
        self._subscriptions = Subscriptions()
        self._echo = Echo(clock, self._wake_soon, self._miss_echo)
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._waiting_bytes = 0
        self._sent_at = 0.0
        self._link: Link | None = None
        self._wake: Deferred[None] | None = None
        self._waking: IDelayedCall | None = None
        self._trouble = ""
        self._resting: Deferred[None] | None = None
        self._is_stopping = False
        self._running: Deferred[None] | None = None

    def start(self, listener: IBrokerListener) -> None:
        self._listener = listener
        self._links.start()
        self._running = Deferred.fromCoroutine(self._run())
        self._running.addErrback(lambda failure: self._log.failure("The broker failed", failure))

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._is_stopping = True
        if self._running is None:
            return
        if self._resting is not None:
            self._resting.cancel()
        if self.is_up:
            self._wake_soon()
            ended: Deferred[None] = Deferred()
            self._running.addCallback(lambda _: None if ended.called else ended.callback(None))
            with suppress(defer.TimeoutError):
                await ended.addTimeout(STOP_PATIENCE, self._clock)
        await self._links.stop()
        await self._running
        if self._waking is not None:
            self._waking.cancel()
            self._waking = None

    def subscribe(self, topic: str) -> None:
        self._subscriptions.add(topic)
        self._wake_soon()

    def unsubscribe(self, topic: str) -> None:
        self._subscriptions.remove(topic)
        self._wake_soon()

    @property
    def room(self) -> int:
        """Bytes of messages that may be sent now. Beyond it the connection is given up."""
        return MAX_WAITING_BYTES - self._waiting_bytes

    def publish(self, topic: str, message: bytes) -> None:
        if not self.is_up or self._link is None:
            return
        if len(message) > self.room:
            self._complain(f"{self._links} is too slow with messages to other nodes")
            self._link.discard()
            return
        self._waiting.append((self._subscriptions.channel(topic), message))
        self._waiting_bytes += len(message)
        if self._waking is None:
            self._wake_in(self._pause)

    def tell_by_appends(self, teller: ITeller) -> None:
        """The store knows nothing of what carries messages."""

    def channels(self, topics: Sequence[str]) -> list[str]:
        """Give the channels of topics, where messages are carried now; else none."""
        if not self.is_up or self._link is None:
            return []
        return [self._subscriptions.channel(topic) for topic in topics]

    # inside

    def _wake_soon(self) -> None:
        """Let what is to be done be done after this turn, so that all of it goes together."""
        if self._waking is not None and self._waking.getTime() > self._clock.seconds():
            self._waking.cancel()  # to move it would search all of the reactor's calls
            self._waking = None
        if self._waking is None and self._link is not None:
            self._wake_in(0)

    def _wake_in(self, seconds: float) -> None:
        self._waking = self._clock.callLater(seconds, self._awake)

    @property
    def _pause(self) -> float:
        """Seconds until messages may be sent again."""
        return max(0.0, self._sent_at + SEND_SECONDS - self._clock.seconds())

    def _awake(self) -> None:
        self._waking = None
        wake, self._wake = self._wake, None
        if wake is not None:
            wake.callback(None)

    async def _run(self) -> None:
        """Keep a connection, until there are no more."""
        while not self._is_stopping:
            try:
                link = await self._links.take(self._heard)
            except StoreUnavailable:
                return
            try:
                await self._serve(link)
            except StoreError as error:
                self._complain(f"Messages to other nodes fail: {error.message}")
            except Exception:
                self._log.failure("The broker met a fault, and begins anew")
                self._resting = deferLater(self._clock, FAULT_PAUSE)
            finally:
                self._end(link)
            if self._resting is not None:
                with suppress(defer.CancelledError):  # at a stop
                    await self._resting
                self._resting = None

    def _complain(self, trouble: str) -> None:
        """Say what fails first, until it works; what follows from that is no news."""
        if not self._trouble and not self._is_stopping:
            self._trouble = trouble
            self._log.warn("{trouble}", trouble=trouble)

    async def _serve(self, link: Link) -> None:
        """
        Do what there is to do, until the connection is lost, or all is done at the end.

        :raises StoreError: when that can't be.
        """
        self._link = link
        link.gone.addCallback(lambda _: self._wake_soon())
        self._subscriptions.begin(link.channel)
        await self._listen(link)
        self._echo.begin()
        while not link.is_gone:
            if self._subscriptions.are_behind:
                await self._listen(link)
            elif self._echo.is_due and not self._is_stopping:
                await link.send([(link.own_channel, self._echo.make())])
            elif self._waiting and (self._is_stopping or not self._pause):
                await self._send(link)
            elif self._is_stopping:
                await link.leave()
                return
            else:
                if self._waiting and self._waking is None:
                    self._wake_in(self._pause)
                self._wake = Deferred()
                await self._wake

    async def _listen(self, link: Link) -> None:
        """Listen to the channels of new topics, and no more to those of old ones."""
        listened: list[str] = []
        while self._subscriptions.are_behind:
            new, old, topics = self._subscriptions.take_changes(AT_ONCE)
            listened += topics
            if new or old:
                await link.listen(new, old)
        if self.is_up and listened and self._listener is not None:
            self._listener.subscribed(listened)

    async def _send(self, link: Link) -> None:
        self._sent_at = self._clock.seconds()
        some = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
        try:
            await link.send(some)
        finally:
            self._waiting_bytes -= sum(len(message) for _, message in some)

    def _heard(self, channel: str, message: bytes) -> None:
        if self._link is not None and channel == self._link.own_channel:
            if self._echo.hear(message):
                self._works()
            return
        topic = self._subscriptions.topic(channel)
        if topic is not None and self._listener is not None:
            try:
                self._listener.heard(topic, message)
            except Exception:
                self._log.failure("A message of another node could not be taken")

    def _works(self) -> None:
        """A message came back."""
        if not self.is_up and self._listener is not None:
            self.is_up, self._trouble = True, ""
            self._listener.came_back()
            self._listener.subscribed(self._subscriptions.topics)

    def _miss_echo(self) -> None:
        self._complain(self._links.silence)
        if self._link is not None:
            self._link.discard()

    def _end(self, link: Link) -> None:
        """The connection is of no more use."""
        link.discard()
        self._link = None
        self._echo.stop()
        self._waiting.clear()
        self._waiting_bytes = 0
        if self.is_up:
            self.is_up = False
            if self._listener is not None:
                self._listener.went_away()
