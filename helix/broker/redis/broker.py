"""A broker over the publish and subscribe of Redis or Valkey. (docs/adr/0026-redis.md)"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from helix.broker.carrier import Carrier, Heard
from helix.broker.redis.address import RedisAddress
from helix.broker.redis.failures import Moved, Unknown
from helix.broker.redis.wire import Command, Told, Wire, connect
from helix.broker.subscriptions import channel_name
from helix.errors import StoreError, StoreUnavailable

MAX_BYTES = 512 * 1024
"""
Bytes of the largest message: twice the default of --max-patch-bytes, so an edit fits; and the
server cuts off who is 32 MiB behind, so dozens fit.
"""

PREFIX = "helix:"
"""With what the names of all channels begin."""

FIRST_PAUSE = 0.1
"""Seconds, at most, between a connection that failed and the next; doubled each time ..."""

LONGEST_PAUSE = 5.0
"""... up to this. One that lasted longer is replaced at once."""

MOVES = 5
"""How often a cluster may send us on to another server."""

_SCOPE_BYTES = 8

_MARK_BYTES = 8
"""With which a connection's messages begin, so that it knows them when they come back."""


class RedisBroker(Carrier):
    """
    Carries messages over a Redis or Valkey server, or one shard of a cluster of them.

    Sharded channels are used where the server has them. All channels of a store are in one slot, so
    that one server of a cluster has all of them, and leaves the others alone.

    :param url: ``redis://...``, or ``rediss://...`` for TLS.
    :param random: makes the names of connections, and spreads attempts to connect.
    :param secret: gives a text that those on one store share, and nobody else has.
    :raises StoreError: when the URL can't be read.
    """

    def __init__(
        self, url: str, reactor: object, random: Random, secret: Callable[[], Awaitable[bytes]]
    ) -> None:
        address = RedisAddress.parse(url)
        links = _RedisLinks(address, reactor, random, secret)
        super().__init__(links, IReactorTime(reactor))


class _RedisLinks:
    max_bytes = MAX_BYTES

    _log: Final = Logger(namespace="helix.broker")

    def __init__(
        self,
        address: RedisAddress,
        reactor: object,
        random: Random,
        secret: Callable[[], Awaitable[bytes]],
    ) -> None:
        self.silence = f"{address} takes messages to other nodes, and brings none back"
        self._address = address
        self._reactor = reactor
        self._clock = IReactorTime(reactor)
        self._random = random
        self._secret = secret
        self._scope = ""
        self._pause = FIRST_PAUSE
        self._began_at: float | None = None
        self._trouble = ""
        self._link: _RedisLink | None = None
        self._taking: Deferred[_RedisLink] | None = None
        self._is_stopped = False

    def __str__(self) -> str:
        return str(self._address)

    def start(self) -> None:
        """There is nothing to begin with."""

    async def stop(self) -> None:
        self._is_stopped = True
        if self._taking is not None:
            self._taking.cancel()
        if self._link is not None:
            self._link.discard()

    async def take(self, heard: Heard) -> _RedisLink:
        self._taking = Deferred.fromCoroutine(self._keep_trying(heard))
        try:
            self._link = await self._taking
        except CancelledError:
            raise _stopped() from None
        finally:
            self._taking = None
        return self._link

    async def _keep_trying(self, heard: Heard) -> _RedisLink:
        while not self._is_stopped:
            await self._rest()
            try:
                link = await self._open(heard)
            except StoreError as error:
                self._note(error)
                continue
            if self._trouble:
                self._trouble = ""
                self._log.info("{address} can be reached again", address=str(self._address))
            return link
        raise _stopped()

    async def _rest(self) -> None:
        """Wait, unless the last attempt, or connection, lasted."""
        now = self._clock.seconds()
        if self._began_at is None or now - self._began_at > LONGEST_PAUSE:
            self._pause = FIRST_PAUSE
        else:
            seconds = self._random.uniform(self._pause / 2, self._pause)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            await deferLater(self._clock, seconds)
        self._began_at = self._clock.seconds()

    def _note(self, error: StoreError) -> None:
        if error.message != self._trouble and not self._is_stopped:
            self._trouble = error.message
            self._log.warn("{reason}", reason=error.message)

    async def _open(self, heard: Heard) -> _RedisLink:
        """:raises StoreError: when that can't be."""
        if not self._scope:
            told = f"helix broker {self._address.number}".encode()
            digest = hmac.digest(await self._secret(), told, "sha256")
            self._scope = digest[:_SCOPE_BYTES].hex()
        link = _RedisLink(self._scope, self._random.randbytes(_MARK_BYTES), heard)
        try:
            link.use(await self._connect(link.begin_to_listen, link.told))
            link.use(await self._connect(link.begin_to_send, link.told))
        except BaseException:
            link.discard()
            raise
        return link

    async def _connect(self, begin: Callable[[Wire], Awaitable[None]], told: Told) -> Wire:
        """
        Connect to the server of a cluster that has the channels, or to the only one.

        :param begin: is tried there.
        :raises StoreError: when that can't be.
        """
        address = self._address
        for _ in range(MOVES):
            wire = await connect(self._reactor, self._clock, address, told)
            try:
                await begin(wire)
            except Moved as moved:
                wire.discard()
                address = moved.to
                continue
            except BaseException:
                wire.discard()
                raise
            return wire
        raise StoreUnavailable(f"{self._address} is part of a cluster that is changing")


class _RedisLink:
    """
    Two connections, since one that listens can't send.

    :param scope: of the names of channels.
    :param mark: with which messages begin, so that the link knows its own when they come back.
    """

    def __init__(self, scope: str, mark: bytes, heard: Heard) -> None:
        self.gone: Deferred[None] = Deferred()
        self.is_gone = False
        # What is in braces alone says which slot of a cluster a channel has.
        self._prefix = f"{PREFIX}{{{scope}}}:"
        self.own_channel = f"{self._prefix}node:{mark.hex()}"
        self._scope = scope
        self._mark = mark
        self._heard = heard
        self._shard = ""
        self._wires: list[Wire] = []

    # how it begins

    async def begin_to_listen(self, wire: Wire) -> None:
        """
        Listen to the own channel, a sharded one if possible.

        :raises StoreError: when that can't be.
        """
        own = [self.own_channel.encode()]
        try:
            await wire.subscribe_to("SSUBSCRIBE", own)
            self._shard = "S"
        except Unknown:
            await wire.subscribe_to("SUBSCRIBE", own)

    async def begin_to_send(self, wire: Wire) -> None:
        """
        Send something that nobody takes for a message.

        :raises StoreError: when that can't be.
        """
        await wire.ask([self._message(self.own_channel, b"")])

    def use(self, wire: Wire) -> None:
        """Listen, and then send, over this connection; it has begun to."""
        self._wires.append(wire)
        wire.gone.addCallback(lambda _: self.discard())
        if self.is_gone:
            wire.discard()

    # Link

    def channel(self, topic: str) -> str:
        return self._prefix + channel_name(self._scope, topic)

    async def listen(self, new: Sequence[str], old: Sequence[str]) -> None:
        for verb, channels in (("SUBSCRIBE", new), ("UNSUBSCRIBE", old)):
            if channels:
                named = [channel.encode() for channel in channels]
                await self._wires[0].subscribe_to(self._shard + verb, named)

    async def send(self, messages: Sequence[tuple[str, bytes]]) -> None:
        if messages[0][0] == self.own_channel:
            await self._wires[1].look()  # now and then, as we try whether it works
        await self._wires[1].ask([self._message(*one) for one in messages])

    async def leave(self) -> None:
        """The server forgets a connection when it is closed."""

    def discard(self) -> None:
        if not self.is_gone:
            self.is_gone = True
            for wire in self._wires:
                wire.discard()
            self.gone.callback(None)

    def told(self, channel: bytes, message: bytes) -> None:
        """A message came."""
        name = channel.decode("ascii", "replace")
        if name == self.own_channel or not message.startswith(self._mark):
            self._heard(name, message[_MARK_BYTES:])

    def _message(self, channel: str, message: bytes) -> Command:
        return (f"{self._shard}PUBLISH", channel, self._mark + message)


def _stopped() -> StoreUnavailable:
    return StoreUnavailable("The broker is stopped")
