"""One connection to a server: Phoenix Channels frames over Autobahn's WebSocket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import attrs
import msgspec
import txaio
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IDelayedCall, IStreamClientEndpoint, ITCPTransport
from twisted.internet.ssl import optionsForClientTLS
from twisted.logger import Logger

from helix.delivery.protocol import V2, Message, encode_json
from helix.errors import Disconnected, MalformedFrame
from helix.printable import without_credentials

HEARTBEAT = 30.0
"""
Seconds between heartbeats. One that brings no answer, nor any other byte, for as long ends the
connection.
"""

CONNECT_TIMEOUT = 10.0
"""Seconds until a connection must be open."""

CLOSE_TIMEOUT = 2.0
"""Seconds that the server has to answer a close."""

MAX_MESSAGE_BYTES = 256 * 1024 * 1024
"""The largest message that is taken: a document, as a rule."""

SOCKET_PATH = "/socket/websocket"

_SCHEMES = {"http": False, "ws": False, "https": True, "wss": True}


class Reply(NamedTuple):
    """
    The answer to a request.

    :ivar join_ref: of the channel that answered; ``None`` where none did.
    :ivar response: JSON.
    """

    join_ref: str | None
    ok: bool
    response: bytes


class _ReplyPayload(msgspec.Struct):
    status: str
    response: msgspec.Raw


_decode_reply = msgspec.json.Decoder(_ReplyPayload).decode


@attrs.frozen
class Address:
    """
    Where a server's socket is.

    :ivar url: as WebSocket clients write it.
    """

    url: str
    host: str
    port: int
    is_secure: bool

    @classmethod
    def of(cls, url: str) -> Address:
        """
        Find the socket of the server at ``url`` (``http``, ``https``, ``ws`` or ``wss``).

        :raises ValueError: when that is no such URL.
        """
        parts = urlsplit(url)
        is_secure = _SCHEMES.get(parts.scheme)
        if is_secure is None or not parts.hostname:
            told = without_credentials(url)
            raise ValueError(f"{told!r} is not the URL of a server, as http://127.0.0.1:4000 is")
        port = parts.port or (443 if is_secure else 80)
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        path = parts.path.rstrip("/").removesuffix("/websocket").removesuffix("/socket")
        scheme = "wss" if is_secure else "ws"
        whole = f"{scheme}://{host}:{port}{path}{SOCKET_PATH}?vsn=2.0.0"
        return cls(whole, parts.hostname, port, is_secure)

    @property
    def site(self) -> str:
        """The server's URL as HTTP clients write it, without a slash at the end."""
        return "http" + self.url.removeprefix("ws").partition(f"{SOCKET_PATH}?")[0]

    def endpoint(self, reactor: Any) -> IStreamClientEndpoint:
        """Make the endpoint that leads there."""
        endpoint = HostnameEndpoint(reactor, self.host, self.port)
        if self.is_secure:
            secured: IStreamClientEndpoint = wrapClientTLS(optionsForClientTLS(self.host), endpoint)
            return secured
        return endpoint


class PhoenixSocket(WebSocketClientProtocol):
    """
    One connection. Every request is answered within its time, or the connection ends.

    :ivar opened: fires with this when the WebSocket is open, fails with `Disconnected`.
    :ivar closed: fires with a `Disconnected` that says why when the connection is gone.
    :ivar received: called with each message that is no reply.
    :ivar close_code: the server's, once it closed the connection.
    """

    # What a server does wrong is told by `closed`: Autobahn would tell of it as information, too.
    log = txaio.make_logger(level="error")  # type: ignore[attr-defined]  # comes with a framework

    _faults: Final = Logger(namespace="helix.client")

    transport: Any
    received: Callable[[Message], None]

    def __init__(self, clock: Any) -> None:
        super().__init__()
        self._clock = clock
        self.opened: Deferred[PhoenixSocket] = Deferred()
        self.closed: Deferred[Disconnected] = Deferred()
        self.close_code: int | None = None
        self._newest_ref = 0
        self._requests: dict[str, tuple[Deferred[Reply], IDelayedCall]] = {}
        self._heard = 0.0
        self._why = ""
        self._heartbeat: IDelayedCall | None = None
        self._closing: IDelayedCall | None = None
        self._is_gone = False

    # what the client calls

    def request(
        self,
        topic: str,
        event: str,
        payload: bytes,
        join_ref: str | None,
        timeout: float,
        is_patient: bool = False,
    ) -> Deferred[Reply]:
        """
        Send a message that is answered.

        :param payload: JSON.
        :param join_ref: of the channel; ``None`` for a join, whose own ref it is.
        :param timeout: seconds, after which the connection is given up.
        :param is_patient: whether they count from the last byte that came: what is large, or behind
            what is large, comes slowly over a slow line.
        :return: a Deferred that fires with the reply, or fails with `Disconnected`.
        """
        if self._is_gone or not self.may_send:
            return fail(Disconnected(self._why))
        self._newest_ref += 1
        ref = str(self._newest_ref)
        if join_ref is None and event == "phx_join":
            join_ref = ref
        head = encode_json([join_ref, ref, topic, event])[:-1]
        self.sendMessage(b"%b,%b]" % (head, payload))
        answered: Deferred[Reply] = Deferred()
        why = f"no answer to {event} in {timeout:g} s"
        timer = self._clock.callLater(timeout, self._expire, ref, timeout if is_patient else 0, why)
        self._requests[ref] = (answered, timer)
        return answered

    @property
    def newest_ref(self) -> str:
        """The ref of the newest request."""
        return str(self._newest_ref)

    @property
    def may_send(self) -> bool:
        return bool(self.state == self.STATE_OPEN)

    def close(self) -> None:
        """Close the connection in order, at the latest after `CLOSE_TIMEOUT`."""
        if self._is_gone or self._closing is not None:
            return
        self._why = self._why or "closed"
        if not self.may_send:
            self.abort(self._why)
            return
        self._closing = self._clock.callLater(CLOSE_TIMEOUT, self.abort, self._why)
        self.sendClose(self.CLOSE_STATUS_CODE_NORMAL)

    def abort(self, why: str) -> None:
        """Cut the connection."""
        self._why = self._why or why
        if self.transport is not None:
            self.transport.abortConnection()

    # Autobahn's calls

    def connectionMade(self) -> None:
        super().connectionMade()
        # Autobahn reads its tcpNoDelay option before it has set it, and swallows the error.
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        self._heard = self._clock.seconds()
        super().dataReceived(data)

    def onOpen(self) -> None:
        self._heartbeat = self._clock.callLater(HEARTBEAT, self._beat)
        self.opened.callback(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if isBinary or self._is_gone:
            return
        try:
            self._receive(V2.decode(payload))
        except (MalformedFrame, msgspec.MsgspecError):
            self.abort("the server sent what is no message")
        except Exception:
            self._faults.failure("A message could not be taken")
            self.abort("a fault in the client")

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        if self._is_gone:
            return
        self._is_gone = True
        self.close_code = self.remoteCloseCode
        why = Disconnected(self._why or _tell(self.remoteCloseCode, reason))
        for timer in (self._heartbeat, self._closing):
            if timer is not None and timer.active():
                timer.cancel()
        requests, self._requests = self._requests, {}
        for answered, timer in requests.values():
            if timer.active():
                timer.cancel()
            answered.errback(why)
        if not self.opened.called:
            self.opened.errback(why)
        self.closed.callback(why)

    # inside

    def _receive(self, message: Message) -> None:
        if message.event != "phx_reply":
            self.received(message)
            return
        answered, timer = self._requests.pop(str(message.ref), (None, None))
        if answered is None or timer is None:
            return
        if timer.active():
            timer.cancel()
        reply = _decode_reply(message.payload)
        join_ref = None if message.join_ref is None else str(message.join_ref)
        answered.callback(Reply(join_ref, reply.status == "ok", bytes(reply.response)))

    def _expire(self, ref: str, patience: float, why: str) -> None:
        """Give the connection up, unless something came within the seconds of ``patience``."""
        left = self._heard + patience - self._clock.seconds()
        if left > 0:
            answered, _ = self._requests[ref]
            timer = self._clock.callLater(left, self._expire, ref, patience, why)
            self._requests[ref] = (answered, timer)
        else:
            self.abort(why)

    def _beat(self) -> None:
        answered = self.request("phoenix", "heartbeat", b"{}", None, HEARTBEAT, is_patient=True)
        answered.addCallbacks(lambda _: None, lambda failure: failure.trap(Disconnected) and None)
        self._heartbeat = self._clock.callLater(HEARTBEAT, self._beat)


def _tell(code: int | None, reason: str | None) -> str:
    why = reason or "the connection was lost"
    return why if code is None else f"the server closed the connection with {code}: {why}"


async def open_socket(
    reactor: Any,
    address: Address,
    endpoint: IStreamClientEndpoint,
    received: Callable[[Message], None],
    headers: Mapping[str, str],
) -> PhoenixSocket:
    """
    Connect, within `CONNECT_TIMEOUT`.

    :param received: called with each message that is no reply.
    :param headers: of the request.
    :raises Disconnected: when that can't be.
    """

    def build() -> PhoenixSocket:
        made = PhoenixSocket(reactor)
        made.received = received
        return made

    factory = WebSocketClientFactory(address.url, headers=dict(headers), reactor=reactor)
    factory.protocol = build  # type: ignore[assignment]  # it is called, no more
    # Its timers would run on a reactor of Autobahn's choice: ours do the same.
    factory.setProtocolOptions(
        openHandshakeTimeout=0,
        closeHandshakeTimeout=0,
        serverConnectionDropTimeout=0,
        maxMessagePayloadSize=MAX_MESSAGE_BYTES,
        maxFramePayloadSize=MAX_MESSAGE_BYTES,
    )
    try:
        connected: Deferred[Any] = endpoint.connect(factory)
        socket: PhoenixSocket = await connected.addTimeout(CONNECT_TIMEOUT, reactor)
    except CancelledError:
        raise
    except (defer.TimeoutError, ConnectingCancelledError):
        raise Disconnected("the server can't be reached in time") from None
    except Exception as error:  # endpoints fail with whatever their kind of connection does
        raise Disconnected(f"the server can't be reached: {error}") from None
    timer = reactor.callLater(CONNECT_TIMEOUT, socket.abort, "the server didn't answer in time")
    try:
        return await socket.opened
    except BaseException:
        socket.abort("given up")
        await socket.closed
        raise
    finally:
        if timer.active():
            timer.cancel()
