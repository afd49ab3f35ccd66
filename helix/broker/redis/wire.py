"""One connection to Redis or Valkey, over txredisapi."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import txredisapi
from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from helix.broker.redis.address import RedisAddress
from helix.broker.redis.failures import explain, explain_loss
from helix.errors import StoreError, StoreUnavailable

PATIENCE = 5.0
"""Seconds that connecting may take, and then each answer."""

_NAME = "helix-broker"
"""As what the server lists its connections."""

Command = Sequence[bytes | str]
Told = Callable[[bytes, bytes], None]

_MESSAGES = (b"message", b"smessage")
_COPIES = (b"replica", b"slave")
_CONFIRMS = (b"subscribe", b"unsubscribe", b"ssubscribe", b"sunsubscribe")


class Wire(txredisapi.RedisProtocol):  # type: ignore[misc]  # it has no types
    """
    A connection on which one thing is asked at a time, and which may subscribe to channels.

    :param told: is told the channel and the message of what comes. It mustn't raise.

    :ivar gone: fires when it is closed, by whomever.
    :ivar is_gone: whether it is.
    """

    def __init__(self, clock: IReactorTime, address: RedisAddress, told: Told) -> None:
        super().__init__(charset=None, convertNumbers=False)
        self.gone: Deferred[None] = Deferred()
        self.is_gone = False
        self._clock = clock
        self._address = address
        self._told = told
        self._unconfirmed: set[bytes] = set()
        self._loss = ""

    # of Twisted and txredisapi

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        try:
            super().dataReceived(data, unpause)
        except (txredisapi.RedisError, UnicodeError):
            self.discard(f"{self._address} doesn't speak as Redis does")

    def replyReceived(self, reply: Any) -> None:
        if isinstance(reply, list) and len(reply) == 3:
            kind, channel, message = reply
            if kind in _MESSAGES:
                self._told(channel, message)
                return
            if kind in _CONFIRMS:
                self._confirmed(channel, reply)
                return
        super().replyReceived(reply)

    def _confirmed(self, channel: bytes, reply: list[Any]) -> None:
        if channel not in self._unconfirmed:
            # The channel's place in a cluster has moved to another server.
            self.discard(f"{self._address} ended a subscription")
            return
        self._unconfirmed.discard(channel)
        if not self._unconfirmed:
            super().replyReceived(reply)

    def connectionMade(self) -> Any:
        self.transport.setTcpNoDelay(True)
        return super().connectionMade()

    def connectionLost(self, reason: Failure) -> None:
        self._lose(explain_loss(reason, self._address).message)
        super().connectionLost(reason)

    # ours

    async def open(self) -> None:
        """
        Show who we are, and see whether the server will do.

        :raises StoreError: when not.
        """
        if self._address.password is not None:
            await self._answers([self.auth(self._address.password, self._address.user or None)])
        await self.look()

    async def look(self) -> None:
        """
        See whether the server will do: it may be, or have become, a copy of another.

        :raises StoreReadOnly: when it is.
        :raises StoreUnavailable: when it doesn't say.
        """
        try:
            [told] = await self.ask([("HELLO", "2", "SETNAME", _NAME)])
        except StoreUnavailable:
            raise
        except StoreError:
            return  # not every server that passes messages on says what it is
        about = dict(zip(told[::2], told[1::2], strict=False))
        # In a cluster, all copies of a server hear what one of them is told.
        if about.get(b"role") in _COPIES and about.get(b"mode") != b"cluster":
            raise explain("READONLY", self._address)

    async def ask(self, commands: Iterable[Command]) -> list[Any]:
        """
        Send commands, and wait for their answers.

        :raises StoreError: when one is refused; the others may have been carried out.
        """
        if self.is_gone:
            raise self._lost()
        return await self._answers([self.execute_command(*words) for words in commands])

    async def subscribe_to(self, command: str, channels: Sequence[bytes]) -> None:
        """
        Subscribe to channels, one at least, or end that, and wait until all are confirmed.

        :param command: ``SUBSCRIBE``, ``UNSUBSCRIBE``, ``SSUBSCRIBE`` or ``SUNSUBSCRIBE``.
        :raises StoreError: when one is refused.
        """
        self._unconfirmed = set(channels)
        try:
            await self.ask([(command, *channels)])
        finally:
            self._unconfirmed = set()

    def discard(self, why: str = "") -> None:
        """Close it. What is under way fails."""
        self._lose(why)
        self.transport.abortConnection()

    def _lost(self) -> StoreUnavailable:
        return StoreUnavailable(self._loss or f"{self._address} ended the connection")

    async def _answers(self, asked: list[Deferred[Any]]) -> list[Any]:
        timer = self._clock.callLater(PATIENCE, self.discard, _late(self._address))
        try:
            answers = await DeferredList(asked, consumeErrors=True)
        finally:
            if timer.active():
                timer.cancel()
        failed = next((answer for succeeded, answer in answers if not succeeded), None)
        if failed is None:
            return [answer for _, answer in answers]
        if failed.check(CancelledError):
            failed.raiseException()
        if self.is_gone:
            raise self._lost()
        raise explain(str(failed.value), self._address)

    def _lose(self, why: str) -> None:
        if not self.is_gone:
            self.is_gone, self._loss = True, why
            self.gone.callback(None)


def _late(address: RedisAddress) -> str:
    return f"{address} doesn't answer in time"


async def connect(reactor: object, clock: IReactorTime, address: RedisAddress, told: Told) -> Wire:
    """
    Connect to a server that will do.

    :raises StoreError: when that can't be.
    """
    factory = Factory.forProtocol(lambda: Wire(clock, address, told))
    factory.noisy = False
    wire: Any
    try:
        connecting = address.endpoint(reactor).connect(factory)
        wire = await connecting.addTimeout(PATIENCE, clock)
    except StoreError:
        raise
    except defer.TimeoutError:
        raise StoreUnavailable(_late(address)) from None
    except Exception:
        raise explain_loss(Failure(), address) from None
    try:
        await wire.open()
    except BaseException:
        wire.discard()
        raise
    made: Wire = wire
    return made
