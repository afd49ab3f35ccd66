"""A TCP connection in memory: what is sent arrives at once, and what is written can be held."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

TRANSPORT_BYTES = 64 * 1024
"""What a transport holds before it pauses its producer, as Twisted's do."""


class MemoryTransport(StringTransport):
    """
    A TCP transport in memory, which closes as Twisted's does: once its producer has finished.

    :param address: of the peer; ``None`` for a unix socket.
    :ivar reading: whether the peer takes what is written.
    :ivar held: bytes that the peer has not taken.
    :ivar lost: whether the protocol has been told that the connection is gone.
    """

    def __init__(self, clock: Clock, address: str | None = "127.0.0.1") -> None:
        super().__init__(
            peerAddress=UNIXAddress(None)
            if address is None
            else IPv4Address("TCP", address, 50_000)
        )
        self.protocol: IProtocol
        self.reading = True
        self.held = b""
        self.lost = False
        self._clock = clock
        self._arrived = b""

    def receive(self, data: bytes) -> None:
        """Something comes from the peer: it waits while the protocol doesn't want it."""
        if self.producerState == "producing":
            self.protocol.dataReceived(data)
        else:
            self._arrived += data

    def resumeProducing(self) -> None:
        super().resumeProducing()
        if self._arrived and not self.lost:
            self._clock.callLater(0, self._deliver)

    def _deliver(self) -> None:
        arrived, self._arrived = self._arrived, b""
        if arrived and not self.lost and not self.disconnecting:
            self.receive(arrived)

    def write(self, data: bytes) -> None:
        if self.lost:
            return
        if self.reading:
            super().write(data)
            return
        self.held += data
        if self.producer is not None and self.streaming and len(self.held) > TRANSPORT_BYTES:
            self.producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def start_reading(self) -> None:
        """The peer takes what waits, and all that comes."""
        self.reading = True
        while self.held:
            held, self.held = self.held, b""
            super().write(held)
            if self.producer is not None:
                self.producer.resumeProducing()
        self._close_if_done()

    def unregisterProducer(self) -> None:
        super().unregisterProducer()
        self._close_if_done()

    def loseConnection(self) -> None:
        super().loseConnection()
        self._close_if_done()

    def abortConnection(self) -> None:
        self._lose(ConnectionAborted())

    def peer_is_gone(self) -> None:
        """The connection is cut from the other side."""
        self._lose(ConnectionLost())

    def _close_if_done(self) -> None:
        if self.disconnecting and not self.held and self.producer is None:
            self._lose(ConnectionDone())

    def _lose(self, reason: Exception) -> None:
        if not self.lost:
            self.lost = True
            self._clock.callLater(0, self._tell, reason)

    def _tell(self, reason: Exception) -> None:
        if self.producer is not None:
            self.producer.stopProducing()
        self.protocol.connectionLost(Failure(reason))
