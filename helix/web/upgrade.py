"""``/socket/websocket``: the handshake that turns an HTTP request into a `SocketProtocol`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import attrs
from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory
from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept
from twisted.internet.interfaces import IAddress
from twisted.protocols.policies import ProtocolWrapper
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from helix.channels.clients import ClientService
from helix.channels.connection import Connections
from helix.delivery.backlog import Backlog
from helix.delivery.framing import WINDOW_BITS, deflating
from helix.web.admission import AdmissionControl, Admitted, header, parameters
from helix.web.problems import write_error, write_not_found, write_problem
from helix.web.waiting import answer_when
from helix.web.websocket import SocketProtocol, opened_state

OPEN_HANDSHAKE_TIMEOUT = 5.0
CLOSE_HANDSHAKE_TIMEOUT = 2.0
"""
Seconds that a client has for its close frame, after ours. Autobahn ends them with a whole second of
the clock, so up to one is lost: with 1.0 some clients were cut off before ours was on its way.
"""

ANSWERED_OVER = 4
"""Times the largest frame: a message up to that is answered, larger ones close the WebSocket."""


class SocketFactory(WebSocketServerFactory):
    """
    Makes the WebSockets of a server.

    :param int max_frame_bytes: the largest message that a client may send.
    :param int high_water_mark: bytes that may wait for a client before it is lagging.
    :param backlog: what waits for all clients.
    :param int compress_over: larger frames are deflated, for clients that support it; 0 for never,
        and then clients may not send deflated frames either.
    """

    def __init__(
        self,
        connections: Connections,
        clients: ClientService,
        max_frame_bytes: int,
        high_water_mark: int,
        backlog: Backlog,
        compress_over: int = 0,
    ) -> None:
        super().__init__(server="", reactor=connections.clock)
        self.deflating = deflating(compress_over)
        self.connections = connections
        self.clients = clients
        self.high_water_mark = high_water_mark
        self.backlog = backlog
        self.max_frame_bytes = max_frame_bytes
        self.setProtocolOptions(
            webStatus=False,
            maxFramePayloadSize=ANSWERED_OVER * max_frame_bytes,
            maxMessagePayloadSize=ANSWERED_OVER * max_frame_bytes,
            failByDrop=False,
            openHandshakeTimeout=OPEN_HANDSHAKE_TIMEOUT,
            closeHandshakeTimeout=CLOSE_HANDSHAKE_TIMEOUT,
            allowNullOrigin=True,
            perMessageCompressionAccept=_accept if compress_over else None,
        )
        self._protocol = _with_options(self)
        self._negotiates = compress_over > 0

    def upgrade(self, request: Any, admission: Admitted) -> bytes | int:
        """
        Make a WebSocket of the connection of a request whose handshake is sound.

        Autobahn judges what extensions a client offers, for which it reads the request once more.

        :return: what ``render`` is to give.
        """
        if self._negotiates and request.getHeader(b"sec-websocket-extensions") is not None:
            upgrade = WebSocketResource(_Upgrade(self, self._protocol, admission))
            rendered: bytes | int = upgrade.render(request)
            return rendered
        transport, request.channel.transport = request.channel.transport, None
        protocol = self._protocol(admission)
        protocol.factory = self
        if isinstance(transport.protocol, ProtocolWrapper):  # TLS
            transport.protocol.wrappedProtocol = protocol
        else:
            transport.protocol = protocol
        protocol.open(transport, request.getHeader(b"sec-websocket-key"))
        return NOT_DONE_YET


def _accept(offers: Sequence[object]) -> PerMessageDeflateOfferAccept | None:
    """
    Choose one of the deflate parameters that a client offers.

    A broadcast is deflated once for all members. So no context takeover and no other window is
    accepted.
    """
    for offer in offers:
        if isinstance(offer, PerMessageDeflateOffer) and offer.request_max_window_bits in (
            0,
            WINDOW_BITS,
        ):
            return PerMessageDeflateOfferAccept(
                offer, request_no_context_takeover=True, no_context_takeover=True
            )
    return None


def _with_options(factory: SocketFactory) -> type[SocketProtocol]:
    """
    A protocol class that holds the factory's options, and the state of a WebSocket that is open.

    Autobahn copies some thirty options from the factory to each connection, and formats them all
    for a debug message: a quarter of a connect's time and 1.5 KB for each.
    """
    options: dict[str, Any] = {name: getattr(factory, name) for name in SocketProtocol.CONFIG_ATTRS}
    options["perMessageCompressionAccept"] = staticmethod(factory.perMessageCompressionAccept)
    kind = type("SocketProtocol", (SocketProtocol,), {**options, "CONFIG_ATTRS": ()})
    for name, value in opened_state(kind, factory).items():
        setattr(kind, name, value)
    return kind


@attrs.frozen
class _Upgrade:
    """Stands where Autobahn's resource wants a factory, to hand on the admission."""

    _factory: SocketFactory
    _protocol: type[SocketProtocol]
    _admission: Admitted

    def buildProtocol(self, address: IAddress) -> SocketProtocol:
        protocol = self._protocol(self._admission)
        protocol.factory = self._factory
        return protocol


def _has_token(request: Request, name: bytes, wanted: str) -> bool:
    """Tell whether a header that is a list has ``wanted`` in it."""
    values = (header(request, name) or "").lower().split(",")
    return wanted in [value.strip() for value in values]


def _has_host(request: Request) -> bool:
    """Tell whether there is a ``Host``, whose port, if any, is one."""
    host = urlsplit(f"//{header(request, b'host') or ''}/")
    try:
        return bool(host.netloc) and (host.port or 0) >= 0
    except ValueError:
        return False


def _has_key(request: Request) -> bool:
    """Tell whether there is one ``Sec-WebSocket-Key``: 16 bytes in base64."""
    keys = request.requestHeaders.getRawHeaders(b"sec-websocket-key", [])
    return len(keys) == 1 and re.fullmatch(rb"[A-Za-z0-9+/]{22}==", keys[0]) is not None


def _has_one_origin(request: Request) -> bool:
    """Tell whether there is at most one ``Origin``."""
    return len(request.requestHeaders.getRawHeaders(b"origin", [])) <= 1


def _has_protocols(request: Request) -> bool:
    """Tell whether the ``Sec-WebSocket-Protocol`` that there may be names each but once."""
    names = request.requestHeaders.getRawHeaders(b"sec-websocket-protocol", [])
    offered = [name.strip() for value in names for name in value.split(b",")]
    return b"" not in offered and len(set(offered)) == len(offered)


_MUST_HAVE = (_has_host, _has_key, _has_one_origin, _has_protocols)
"""What makes a handshake sound, besides its ``Upgrade``, ``Connection`` and version."""


class SocketResource(Resource):
    """
    ``/socket/websocket``: refuses a request with a problem, or upgrades it.

    :param admission: decides who may connect.
    """

    isLeaf = True

    def __init__(self, factory: SocketFactory, admission: AdmissionControl) -> None:
        super().__init__()
        self._factory = factory
        self._admission = admission

    def render(self, request: Request) -> bytes | int:
        if request.postpath:
            return write_not_found(request)
        if request.method != b"GET":
            request.setHeader(b"allow", b"GET")
            return write_problem(request, 405, "method_not_allowed", "A WebSocket takes GET")
        if not _has_token(request, b"upgrade", "websocket"):
            request.setHeader(b"upgrade", b"websocket")
            return write_problem(request, 426, "upgrade_required", "Connect with a WebSocket")
        if header(request, b"sec-websocket-version") != "13":
            request.setHeader(b"sec-websocket-version", b"13")
            return write_problem(request, 426, "upgrade_required", "The WebSocket's version is 13")
        is_upgrade = _has_token(request, b"connection", "upgrade")
        if not is_upgrade or not all(has(request) for has in _MUST_HAVE):
            return write_problem(request, 400, "bad_request", "The handshake is malformed")
        token = next(iter(parameters(request, b"token")), None)
        return answer_when(
            request,
            self._admission.admit(request, token),
            partial(self._upgrade, request),
            partial(write_error, request),
        )

    def _upgrade(self, request: Request, admission: Admitted) -> bytes | int:
        # The HTTP channel is its transport's producer until now; the outlet will be.
        channel: Any = request.channel
        channel.transport.unregisterProducer()
        rendered = self._factory.upgrade(request, admission)
        channel.leave()
        channel.requests.clear()  # each request has the channel
        return rendered
