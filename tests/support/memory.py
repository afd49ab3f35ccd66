"""The whole server on a `Clock`, with transports in memory: for what takes long or is exact."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import txaio
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from helix.config import read_config
from helix.wiring import build_server
from tests.support.rawsocket import PATH, Frame, build_frame, upgrade_request
from tests.support.world import open_memory_store

TRANSPORT_BYTES = 64 * 1024
"""What a transport holds before it pauses its producer, as Twisted's do."""


class MemoryTransport(StringTransport):
    """
    A TCP transport in memory, which closes as Twisted's does: once its producer has finished.

    :ivar reading: whether the peer takes what is written.
    :ivar held: bytes that the peer has not taken.
    :ivar lost: whether the protocol has been told that the connection is gone.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", "127.0.0.1", 50000))
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


def parse_frames(data: bytes) -> list[Frame]:
    """The frames that a server sent; ``data`` ends with one."""
    frames = []
    while data:
        size, at = data[1], 2
        if size == 126:
            size, at = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, at = int.from_bytes(data[2:10], "big"), 10
        assert len(data) >= at + size, "a frame is cut off"
        frames.append(Frame(data[0] & 0x0F, data[at : at + size], bool(data[0] & 0x80)))
        data = data[at + size :]
    return frames


class MemoryPeer:
    """One TCP connection to a `MemoryServer`."""

    def __init__(self, transport: MemoryTransport) -> None:
        self.transport = transport

    @property
    def gone(self) -> bool:
        """Whether the server has closed or cut the connection."""
        return self.transport.lost

    @property
    def may_send(self) -> bool:
        """Whether the server still reads."""
        return not self.transport.lost and not self.transport.disconnecting

    def send(self, data: bytes) -> None:
        """Send ``data`` as one segment."""
        if self.may_send:
            self.transport.receive(data)

    def send_frame(self, opcode: int, payload: bytes = b"") -> None:
        """Send one frame."""
        self.send(build_frame(opcode, payload))

    def take(self) -> bytes:
        """What has come since the last time."""
        data = self.transport.value()
        self.transport.clear()
        return data

    def take_frames(self) -> list[Frame]:
        """`take`, for a WebSocket."""
        return parse_frames(self.take())


class MemoryServer:
    """
    All parts of the daemon, wired as ``helix.tap`` does it, but on a `Clock`.

    :ivar clock: its reactor.
    """

    def __init__(
        self,
        max_frame_bytes: int = 1 << 20,
        high_water_mark: int = 1 << 20,
        allow_origin: tuple[str, ...] = (),
        max_queued_bytes: int = 1 << 27,
    ) -> None:
        self.clock = Clock()
        txaio.config.loop = self.clock  # of Autobahn's own timers
        given = {
            "max-frame-bytes": [str(max_frame_bytes)],
            "high-water-mark": [str(high_water_mark)],
            "allow-origin": allow_origin,
            "max-queued-bytes": [str(max_queued_bytes)],
            "allow-host": ["*"],
        }
        server = build_server(
            read_config(given, {}), self.clock, self.clock.seconds, Random(1), open_memory_store()
        )
        self.sessions, self.clients, self._site = server.sessions, server.clients, server.site
        self._metrics = server.metrics
        self.sessions.startService()
        self.clients.startService()

    def stop(self) -> None:
        """Stop the services."""
        self.clients.stopService()
        self.sessions.stopService()
        txaio.config.loop = None

    def connect(self) -> MemoryPeer:
        """Open a TCP connection."""
        transport = MemoryTransport(self.clock)
        transport.protocol = self._site.buildProtocol(transport.getPeer())
        transport.protocol.makeConnection(transport)
        return MemoryPeer(transport)

    def open(self, path: str = PATH) -> MemoryPeer:
        """Open a WebSocket."""
        peer = self.connect()
        peer.send(upgrade_request(path))
        head, _, rest = peer.take().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        assert not rest
        return peer

    def run(self, seconds: float, step: float = 0.5) -> None:
        """Let ``seconds`` pass, in steps, so that what is due is done in its order."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)

    def settle(self) -> None:
        """Do what is due now, and what follows from it."""
        for _ in range(20):
            self.clock.advance(0.001)

    def metric(self, name: str) -> float:
        """The value of a metric, of all its labels together."""
        lines = self._metrics.exposition().decode().splitlines()
        values = [
            float(line.rpartition(" ")[2])
            for line in lines
            if line.startswith((f"{name} ", f"{name}{{"))
        ]
        assert values, f"there is no metric {name}"
        return sum(values)
