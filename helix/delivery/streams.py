"""Outlets over Twisted's stream transports: directly to the socket, or through the transport."""

from __future__ import annotations

from collections.abc import Callable
from socket import socket
from typing import Protocol

from twisted.internet.interfaces import IPullProducer, IPushProducer, IReactorTime
from zope.interface import implementer

from helix.delivery.backlog import Backlog
from helix.delivery.outlet import Outlet
from helix.delivery.protocol import Encoding

SLICE_BYTES = 64 * 1024
"""Bytes given at a time to a transport that buffers everything."""


class StreamTransport(Protocol):
    """The methods of a Twisted transport that an outlet uses, of `ITransport` and `IConsumer`."""

    def write(self, data: bytes, /) -> None:
        """Send ``data`` behind everything before."""

    def registerProducer(self, producer: object, streaming: bool, /) -> None:
        """Let ``producer`` say what is sent, until it is unregistered."""

    def unregisterProducer(self) -> None:
        """Send what is left, then let anyone write."""


@implementer(IPullProducer)
class DirectOutlet(Outlet):
    """
    The outlet over plain TCP: writes directly to the socket while nothing waits.

    A trip through the reactor for each frame costs two ``epoll_ctl`` calls, more than the send
    itself. What the socket doesn't take goes the transport's way: this is then its pull producer,
    which is asked for more whenever the transport has sent all.

    :param transport: a Twisted TCP transport that is about to send something: it is waited for, so
        that nothing overtakes it.
    :param sock: its socket, which doesn't block.
    """

    __slots__ = ("_starting", "_transport", "_write_clear")

    def __init__(
        self,
        transport: StreamTransport,
        sock: socket,
        encoding: Encoding,
        high_water_mark: int,
        clock: IReactorTime,
        lagging: Callable[[bool], None],
        broken: Callable[[], None],
        backlog: Backlog,
        shed: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._write_clear = sock.send  # type: ignore[method-assign, assignment]  # no Python frame in between
        super().__init__(encoding, high_water_mark, clock, lagging, broken, backlog, shed)
        self._block()
        self._starting = True
        transport.registerProducer(self, False)
        self._starting = False

    def _start_draining(self) -> None:
        self._transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """Twisted's call: the transport has sent everything (or has just been given us)."""
        if self._starting:
            return
        chunk = self._next_chunk()
        if chunk is None:
            self._transport.unregisterProducer()
        else:
            self._transport.write(chunk)

    def stopProducing(self) -> None:
        """Twisted's call: the transport is gone."""


@implementer(IPushProducer)
class TransportOutlet(Outlet):
    """
    The outlet over any other stream (TLS, a unix socket): writes to the transport.

    While the transport is full, frames wait here.

    :param transport: a Twisted stream transport.
    """

    __slots__ = ("_finishing", "_paused", "_transport")

    def __init__(
        self,
        transport: StreamTransport,
        encoding: Encoding,
        high_water_mark: int,
        clock: IReactorTime,
        lagging: Callable[[bool], None],
        broken: Callable[[], None],
        backlog: Backlog,
        shed: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._paused = False
        self._finishing = False
        super().__init__(encoding, high_water_mark, clock, lagging, broken, backlog, shed)
        transport.registerProducer(self, True)

    def _write_clear(self, data: bytes | memoryview) -> int:
        if len(data) <= SLICE_BYTES:
            self._transport.write(bytes(data))
            return len(data)
        taken = 0
        view = memoryview(data)
        while taken < len(data) and not self._paused:
            part = view[taken : taken + SLICE_BYTES]
            self._transport.write(bytes(part))
            taken += len(part)
        return taken

    def _start_draining(self) -> None:
        """The transport calls `resumeProducing` by itself."""

    def pauseProducing(self) -> None:
        """Twisted's call: the transport holds enough."""
        self._paused = True
        self._block()

    def resumeProducing(self) -> None:
        """Twisted's call: the transport has room again."""
        self._paused = False
        while not self._paused:
            chunk = self._next_chunk()
            if chunk is None:
                if self._finishing:
                    self._transport.unregisterProducer()
                return
            self._transport.write(chunk)

    def stopProducing(self) -> None:
        """Twisted's call: the transport is gone."""

    def finish(self) -> None:
        self.shut()
        self._finishing = True
        if not self._paused:
            self._transport.unregisterProducer()
