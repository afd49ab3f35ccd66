"""HTTP answers that are written only as fast as the client reads them."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.python.failure import Failure
from twisted.web.server import Request
from zope.interface import implementer

from helix.channels.clients import STALL_TIMEOUT
from helix.delivery.backlog import Backlog, Share
from helix.delivery.protocol import Data
from helix.errors import CloseCode
from helix.telemetry.events import Telemetry

SLICE_BYTES: Final = 64 * 1024
"""What is given to a connection at a time; an answer of no more isn't cut."""


@implementer(IPushProducer)
class PacedRequest(Request):
    """
    A request whose answer waits here, and not in the transport's buffer, until the client reads it.

    An answer that many clients share is not copied. The next request of the connection is served
    after the client has read this answer.

    :cvar backlog: what waits for all clients.
    :cvar telemetry: told of the answers that are cut off.
    """

    backlog: Backlog
    telemetry: Telemetry
    channel: Any

    _waiting: deque[Data] | None = None
    _share: Share | None = None
    _stall: IDelayedCall | None = None
    _has_ended = False
    _is_paused = False

    def write(self, data: bytes) -> None:
        waits = self._waiting is not None or len(data) > SLICE_BYTES
        if self.method == b"HEAD" or not data or not (waits or self.channel._waitingForTransport):
            super().write(data)
            return
        if self._waiting is None or self._share is None:
            self._waiting = deque()
            self._share = Share(self.backlog, lambda: self._cut(CloseCode.TOO_MUCH_WAITS))
            self._is_paused = False
            self.channel.registerProducer(self, True)
            if self.channel._waitingForTransport:
                self.pauseProducing()
        self._waiting.append(data)
        self._share.add(data)
        self._go_on()

    def finish(self) -> None:
        if self._waiting is None:
            super().finish()
        else:
            self._has_ended = True
            self._go_on()

    def connectionLost(self, reason: Failure) -> None:
        self._forget()
        super().connectionLost(reason)

    # the producer, for the channel

    def pauseProducing(self) -> None:
        """Twisted's call: the transport holds enough."""
        self._is_paused = True
        self._watch()

    def resumeProducing(self) -> None:
        """Twisted's call: the transport has room again."""
        self._is_paused = False
        self._watch()
        self._go_on()

    def stopProducing(self) -> None:
        """Twisted's call: the transport is gone."""

    # inside

    def _go_on(self) -> None:
        """Write what the transport takes."""
        waiting, share = self._waiting, self._share
        while waiting and share is not None and not self._is_paused:
            data = waiting.popleft()
            if len(data) > SLICE_BYTES:
                waiting.appendleft(memoryview(data)[SLICE_BYTES:])
                super().write(bytes(memoryview(data)[:SLICE_BYTES]))
                continue
            share.remove(data)
            super().write(bytes(data))
        if self._has_ended and self._waiting is not None and not self._waiting:
            self._forget()
            self.channel.unregisterProducer()
            super().finish()

    def _watch(self) -> None:
        """Cut off a client that reads nothing for a long time."""
        if self._stall is not None and self._stall.active():
            self._stall.cancel()
        self._stall = None
        if self._is_paused and self._waiting is not None:
            self._stall = self.channel.callLater(STALL_TIMEOUT, self._cut, CloseCode.NOT_READING)

    def _cut(self, code: CloseCode) -> None:
        """End the connection; nothing more can be sent."""
        self._forget()
        self.telemetry.emit(
            "helix.connection.dropped", metadata={"transport": "http", "code": int(code)}
        )
        self.channel.forceAbortClient()

    def _forget(self) -> None:
        if self._share is not None:
            self._share.clear()
        self._waiting = self._share = None
        self._is_paused = False
        self._watch()
