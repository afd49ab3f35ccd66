"""The WebSocket transport: bytes of an Autobahn protocol <-> frames of a `Connection`."""

from __future__ import annotations

from base64 import b64encode
from collections import deque
from collections.abc import Callable, Mapping
from functools import cached_property
from hashlib import sha1
from typing import Any

import txaio
from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket.protocol import TrafficStats, WebSocketProtocol
from autobahn.websocket.types import ConnectionRequest
from autobahn.websocket.utf8validator import Utf8Validator
from autobahn.websocket.xormasker import create_xor_masker
from twisted.internet.interfaces import IDelayedCall, ISSLTransport, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Server as TCPServer
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.channels.connection import Connection
from helix.delivery.framing import ENCODINGS
from helix.delivery.outlet import Flow, Outlet
from helix.delivery.protocol import HEAD_BYTES, TAIL_BYTES
from helix.delivery.streams import DirectOutlet, TransportOutlet
from helix.errors import CloseCode
from helix.telemetry.poller import turns_of
from helix.web.admission import Admitted

_HANDSHAKE_STATE = (
    "http_headers",
    "http_request_data",
    "http_request_params",
    "http_request_uri",
    "http_response_data",
    "http_status_line",
    "trackedTimings",
)

_AT_REST = (type(None), bool, int, str, bytes)
"""Types of what all connections can share."""

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What RFC 6455, 4.2.2 has appended to a client's key."""

_SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
    b"%bSec-WebSocket-Accept: %b\r\n\r\n"
)

_TEXT = 0x81

TURN_SECONDS = 0.005
"""Seconds for which one client's data is read before the others get their turn."""

LOOK_BYTES = 1024
"""The elapsed time is checked after this many bytes of messages ..."""

FRAME_BYTES = 100
"""... to which each message adds this many."""

PIECE_BYTES = 2048
"""Bytes given to Autobahn at a time, if they may be many frames."""

MAX_FRAGMENTS = 1000
"""Maximum fragments of one message; each must be read by itself."""


class _Ends:
    """The beginning and the end of a message that is too large; the rest isn't kept."""

    __slots__ = ("head", "tail")

    def __init__(self) -> None:
        self.head = self.tail = b""

    def add(self, data: bytes) -> None:
        if len(self.head) < HEAD_BYTES:
            self.head += data[: HEAD_BYTES - len(self.head)]
        self.tail = (self.tail + data[-TAIL_BYTES:])[-TAIL_BYTES:]


def unmask(mask: bytes, data: bytes) -> bytes:
    """XOR ``data`` with the four bytes of ``mask`` over and over (RFC 6455, 5.3)."""
    size = len(data)
    if size > 1024:  # below, a call into C and back costs more than the work
        unmasked: bytes = create_xor_masker(mask, size).process(data)
        return unmasked
    pattern = (mask * (size // 4 + 1))[:size]
    masked = int.from_bytes(data, "little") ^ int.from_bytes(pattern, "little")
    return masked.to_bytes(size, "little")


def _made_late(make: Callable[[], Any]) -> Any:
    """An attribute that is made when it is first asked for."""
    return cached_property(lambda _: make())


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def opened_state(kind: type[SocketProtocol], factory: Any) -> Mapping[str, object]:
    """
    What Autobahn's code finds in a WebSocket that is open, as attributes of the class.

    It sets some fifty on each connection, of which most never change: 2 KB and a dictionary of
    its own for each.

    :param kind: holds the options already.
    """
    first = kind.__new__(kind)
    first.factory = factory
    first.openHandshakeTimeout = 0  # no timer for this one
    WebSocketProtocol._connectionMade(first)
    del first.openHandshakeTimeout
    state = {name: value for name, value in vars(first).items() if type(value) in _AT_REST}
    return {**state, "state": kind.STATE_OPEN, "inside_message": False, "current_frame": None}


class SocketProtocol(WebSocketServerProtocol):
    """
    One WebSocket. Complete, plain text frames (nearly all frames) are read here; Autobahn reads
    everything else: fragments, control frames, large or malformed ones.
    """

    transport_name = "websocket"

    websocket_version = 13

    # A peer's mistake is no news: Autobahn tells of each as a warning.
    log = txaio.make_logger(level="error")  # type: ignore[attr-defined]  # comes with a framework
    _own_log = Logger(namespace="helix.websocket")

    transport: Any  # the interfaces of a stream transport, all at once
    current_frame: Any
    openHandshakeTimeout: float
    current_frame_masker: Any
    maxFramePayloadSize: int
    maxMessagePayloadSize: int
    message_data: Any
    frame_data: Any
    connection: Connection
    outlet: Outlet | None = None
    _partial = b""
    _ends: _Ends | None = None
    _takes_last_messages = False
    _fragments = 0
    _held = b""
    _unlooked = 0
    _turn_ends = 0.0
    _resting: IDelayedCall | None = None
    _descriptor = -1  # unless it is read straight from the poller

    # Few connections ever need these of Autobahn's, and they take 2 KB.
    is_open = _made_late(txaio.create_future)  # type: ignore[attr-defined]  # comes with a framework
    is_closed = _made_late(txaio.create_future)  # type: ignore[attr-defined]  # as above
    trafficStats = _made_late(TrafficStats)
    send_queue = _made_late(deque)
    utf8validator = _made_late(Utf8Validator)

    def __init__(self, admission: Admitted) -> None:
        # Autobahn's sets nothing else than the above, and what events there are.
        self.admission = admission
        self.address = admission.address

    def open(self, transport: Any, key: bytes) -> None:
        """
        Open on the transport of a client whose handshake was read, and accepted without extensions.
        The class has the state in which it begins. (`opened_state`)

        :param key: its ``Sec-WebSocket-Key``.
        """
        self.transport = transport
        self.connected = 1
        self._set_no_delay()
        accept = b64encode(sha1(key + _MAGIC, usedforsecurity=False).digest())
        protocol = self.admission.subprotocol
        chosen = b"" if protocol is None else b"Sec-WebSocket-Protocol: %b\r\n" % protocol.encode()
        transport.write(_SWITCHING % (chosen, accept))
        transport.resumeProducing()
        self._opened()

    # Twisted's and Autobahn's calls

    def connectionMade(self) -> None:
        super().connectionMade()
        self._set_no_delay()

    def _set_no_delay(self) -> None:
        # Autobahn reads its tcpNoDelay option before it has set it, and swallows the error.
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)

    def onConnect(self, request: ConnectionRequest) -> str | None:
        return self.admission.subprotocol

    def onOpen(self) -> None:
        self._opened()
        # What the handshake needed is of no use any more: 1.5 KB for each connection.
        for name in _HANDSHAKE_STATE:
            setattr(self, name, None)

    def _opened(self) -> None:
        self.outlet = self._make_outlet()
        self.connection = self.factory.connections.make(
            self.outlet, self.close, self.admission.budget, self.admission.principal
        )
        if self._perMessageCompress is not None:
            # No more than a frame is ever inflated.
            self.maxFramePayloadSize = self.maxMessagePayloadSize = self.factory.max_frame_bytes
        self.factory.clients.add(self)
        poller = turns_of(getattr(self.transport, "reactor", None))
        if poller is not None and isinstance(self.outlet, DirectOutlet):
            self._descriptor = self.transport.fileno()
            poller.read_by(self._descriptor, self._read)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._descriptor >= 0:
            self._forget_descriptor()
        # What is between makes texts for the log that nobody sees.
        WebSocketProtocol._connectionLost(self, reason)  # type: ignore[arg-type]  # as the rest does
        self._end_rest()
        # These hold the protocol as their results: garbage in circles is collected late.
        self.is_open = self.is_closed = None

    def _forget_descriptor(self) -> None:
        poller = turns_of(self.transport.reactor)
        if poller is not None:
            poller.forget(self._descriptor)
        self._descriptor = -1

    def _read(self) -> bool:
        """The poller's call: take what has arrived, as the transport does in more steps."""
        try:
            data = self.transport.socket.recv(self.transport.bufferSize)
        except OSError:
            return False
        if not data:
            return False  # the transport sees it again
        try:
            self.dataReceived(data)
        except Exception:
            self._own_log.failure("What a client sent could not be read")
            self.transport.connectionLost(Failure())
        return True

    def dataReceived(self, data: bytes) -> None:
        outlet = self.outlet
        if outlet is None:
            super().dataReceived(data)
            return
        if self._held:
            self._held += data
            return
        self._take(data)

    def _take(self, data: bytes) -> None:
        """Read received data, as far as there is time in this turn of the reactor."""
        outlet = self.outlet
        assert outlet is not None
        self._turn_ends = self.connection.begin() + TURN_SECONDS
        if self._partial:
            data, self._partial = self._partial + data, b""
        outlet.cork()
        try:
            between_messages = self.current_frame is None and not self.inside_message
            if between_messages and not self.data and self.state == self.STATE_OPEN:
                data = self._take_whole_frames(data)
            if data:
                self._hand_on(data)
        finally:
            outlet.uncork()
            wait = self.connection.finish()
            if self._held or wait:
                self._rest(wait)

    def onMessageBegin(self, isBinary: bool) -> None:
        self._fragments = 0
        super().onMessageBegin(isBinary)

    def onMessageFrameBegin(self, length: int) -> None:
        self._fragments += 1
        if self._fragments > 1:
            self.connection.control(0)
            if self._fragments > MAX_FRAGMENTS:
                self.close(CloseCode.RATE_LIMITED, f"more than {MAX_FRAGMENTS} fragments")
        super().onMessageFrameBegin(length)

    def onPing(self, payload: bytes) -> None:
        if self.outlet is None or self.connection.control(len(payload)):
            super().onPing(payload)

    def onPong(self, payload: bytes) -> None:
        if self.outlet is not None:
            self.connection.control(len(payload))

    def onMessageFrameData(self, payload: bytes) -> None:
        if self.message_data_total_length <= self.factory.max_frame_bytes:
            super().onMessageFrameData(payload)
        elif not self.failedByMe:
            if self._ends is None:
                self._ends = _Ends()
                for part in (*self.message_data, *self.frame_data):
                    self._ends.add(part)
                self.message_data.clear()
                self.frame_data.clear()
            self._ends.add(payload)

    def onMessageEnd(self) -> None:
        ends, self._ends = self._ends, None
        if ends is None or self.failedByMe or self.state != self.STATE_OPEN:
            super().onMessageEnd()
            return
        size = self.message_data_total_length
        self.message_data = None
        is_binary = self.message_is_binary
        if not self.connection.receive_too_large(ends.head, ends.tail, size, is_binary):
            limit = self.factory.max_frame_bytes
            self._max_message_size_exceeded(size, limit, f"more than {limit} bytes")

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self.state != self.STATE_OPEN and not self._takes_last_messages:
            return
        if self._perMessageCompress is not None:
            # No message needs what others left there (`_accept`): 40 KB for each connection.
            self._perMessageCompress._decompressor = None
        if isBinary:
            self.connection.receive_binary(payload)
        else:
            self.connection.receive(payload)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        if self.outlet is not None:
            self.factory.clients.remove(self)
            self.connection.closed()

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        if self.outlet is None:
            super().sendData(data, sync, chopsize)
        else:
            self.outlet.send(data)

    def sendCloseFrame(
        self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False
    ) -> None:
        was_open = self.state == self.STATE_OPEN
        super().sendCloseFrame(code, reasonUtf8, isReply)
        if self.outlet is not None:
            if was_open and not isReply and code is not None:
                self.factory.clients.dropped(self, code)
            self.outlet.shut()

    def unregisterProducer(self) -> None:
        """The producer of the transport is the outlet, which sees to that itself."""

    def _closeConnection(self, abort: bool = False) -> None:
        if self.outlet is not None and not abort:
            self.outlet.finish()
        super()._closeConnection(abort)

    # Client

    def close(self, code: CloseCode, reason: str) -> None:
        """
        Send the close frame. If the client did nothing wrong, messages that it sent before it
        received this are still accepted, but no longer answered.
        """
        if self.state == self.STATE_OPEN:
            self._takes_last_messages = code is CloseCode.RESTART
            self.sendCloseFrame(code, reason.encode())

    def abort(self) -> None:
        if self.state == self.STATE_CLOSED:  # closed for Autobahn, but not for who doesn't read
            self.transport.abortConnection()
        else:
            self.dropConnection(abort=True)

    # inside

    def _make_outlet(self) -> Outlet:
        transport = self.transport
        deflates = self._perMessageCompress is not None
        encodings = self.factory.deflating if deflates else ENCODINGS
        common = (
            encodings[self.admission.serializer],
            self.factory.high_water_mark,
            self.factory.connections.clock,
            self._pause,
            self._break,
            self.factory.backlog,
            self._have_shed,
        )
        if type(transport) is TCPServer and not ISSLTransport.providedBy(transport):
            return DirectOutlet(transport, transport.getHandle(), *common)
        return TransportOutlet(transport, *common)

    def _break(self) -> None:
        self.factory.clients.abort_soon(self)

    def _have_shed(self) -> None:
        """Too much waits for all clients, and most of it for this one."""
        self.close(CloseCode.TOO_MUCH_WAITS, "too much waited for this client")
        self.abort()

    def _pause(self, lagging: bool) -> None:
        """Backpressure: a client that doesn't read isn't read from; its replies would pile up."""
        if lagging:
            self.factory.clients.lagging(self)
            self.transport.pauseProducing()
        else:
            self.connection.touch()
            if self._resting is None:
                self.transport.resumeProducing()

    def _rest(self, wait: float) -> None:
        """
        Read nothing for some seconds from a client whose messages take too much time; with 0, until
        the others have had their turn.
        """
        if self._resting is None and self.state != self.STATE_CLOSED:
            self.transport.pauseProducing()
            self._resting = self.factory.connections.clock.callLater(wait, self._rested)

    def _rested(self) -> None:
        self._resting = None
        held, self._held = self._held, b""
        if held:
            self._take(held)
        if self._resting is None:
            self.connection.touch()
            if self.outlet is not None and self.outlet.state is not Flow.LAGGING:
                self.transport.resumeProducing()

    def _stops(self, size: int) -> bool:
        """Tell whether nothing is to be read for now, behind a message of ``size`` bytes."""
        if self.state != self.STATE_OPEN:
            return True
        self._unlooked += size + FRAME_BYTES
        if self._unlooked <= LOOK_BYTES:
            return False
        self._unlooked = 0
        return self._is_turn_over()

    def _hold(self, data: bytes) -> bytes:
        """Keep for the next turn what was not read in this one; what is closed is Autobahn's."""
        if self.state != self.STATE_OPEN:
            return data
        self._held = data
        return b""

    def _is_turn_over(self) -> bool:
        return self.connection.work() > self._turn_ends

    def _end_rest(self) -> None:
        self._held = b""
        resting, self._resting = self._resting, None
        if resting is not None:
            resting.cancel()

    def _hand_on(self, data: bytes) -> None:
        """
        Give data to Autobahn, in pieces: at each frame it copies all data after it, which may be
        thousands of empty frames.
        """
        at = 0
        while at < len(data):
            if at and self._is_turn_over():
                self._held = data[at:]
                return
            size, frame = PIECE_BYTES, self.current_frame
            if frame is not None:
                size = max(size, frame.length - self.current_frame_masker.pointer())
            super().dataReceived(data[at : at + size])
            at += size

    def _take_whole_frames(self, data: bytes) -> bytes:
        """
        Receive the whole text frames at the start of ``data``.

        What is left of a frame that is cut off waits in ``_partial``.

        :return: the data for Autobahn: the first frame of another kind and all after it.
        """
        receive = self.connection.receive
        largest = min(self.factory.max_frame_bytes, 0xFFFF)
        at, end = 0, len(data)
        while end - at >= 2:
            size = data[at + 1] - 0x80
            if data[at] != _TEXT or size < 0:
                return data[at:]
            mask_at = at + 2
            if size == 126:
                if end - at < 4:
                    break
                size = data[at + 2] << 8 | data[at + 3]
                if size < 126:
                    return data[at:]
                mask_at = at + 4
            if size > largest or (size == 127 and mask_at == at + 2):
                return data[at:]
            body_at = mask_at + 4
            stop = body_at + size
            if stop > end:
                break
            text = unmask(data[mask_at:body_at], data[body_at:stop])
            if not _is_utf8(text):
                return data[at:]
            at = stop
            receive(text)
            if self._stops(size):
                return self._hold(data[at:])
        self._partial = data[at:]
        return b""
