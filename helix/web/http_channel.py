"""HTTP connections: the limits of their number, and timeouts for slow ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, Request

from helix.limits.addresses import customer_of

ARRIVAL_TIMEOUT = 60
"""Seconds within which a request has to arrive, as long as it isn't large."""

PROGRESS_BYTES = 256 * 1024
"""A request gets that time again for each such number of bytes."""


_PROBLEM = (
    b'{"title":"Bad Request","status":400,"detail":"The request can\'t be read",'
    b'"code":"bad_request","retry":false}'
)
_BAD_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_PROBLEM), _PROBLEM)
)
"""The answer to data that isn't a valid request (RFC 9457)."""


class Channel(HTTPChannel):
    """
    One HTTP connection.

    Twisted's own channel restarts the timeout at every byte, so a slow client can stay for ever.
    And it reads on after a request that it has refused.

    The factory's ``timeOut`` is how many seconds a connection stays open between two requests.

    :ivar left: called once, when the connection is gone or has become a WebSocket.
    """

    transport: Any  # the interfaces of a stream transport, all at once
    left: Callable[[], None] | None = None
    _fresh = 0
    _keep_alive: float | None = None
    _is_idle = False
    _is_refused = False

    def connectionMade(self) -> None:
        self._keep_alive, self.timeOut = self.timeOut, ARRIVAL_TIMEOUT
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        if self._is_refused:  # TLS hands on what comes up to the other's end
            return
        if self._is_idle:
            self._is_idle = False
            # To call a timer sooner, Twisted looks for it among those of all connections.
            self.setTimeout(None)
            self.setTimeout(ARRIVAL_TIMEOUT)
        self._fresh += len(data)
        if self._fresh >= PROGRESS_BYTES:
            self._fresh = 0
            self.resetTimeout()
        LineReceiver.dataReceived(self, data)

    def headerReceived(self, line: bytes) -> bool:
        try:
            return bool(super().headerReceived(line))
        except ValueError:  # a length of more digits than Python makes a number of
            self._respondToBadRequestAndDisconnect()
            return False

    def lineLengthExceeded(self, line: bytes) -> None:
        self._respondToBadRequestAndDisconnect()

    def checkPersistence(self, request: Request, version: bytes) -> bool:
        """Whether the connection stays open after a request; while the server drains it doesn't."""
        if self.factory.is_leaving:
            request.responseHeaders.setRawHeaders(b"connection", [b"close"])
            return False
        return bool(super().checkPersistence(request, version))

    def requestDone(self, request: Request) -> None:
        self._is_idle = True
        self._savedTimeOut = self._keep_alive
        super().requestDone(request)

    def timeoutConnection(self) -> None:
        """Close it, and cut it off if that takes too long. This is normal, so it isn't logged."""
        self._abortingCall = self.callLater(self.abortTimeout, self.forceAbortClient)
        self.loseConnection()

    def forceAbortClient(self) -> None:
        self._abortingCall = None
        self.transport.abortConnection()

    def _respondToBadRequestAndDisconnect(self) -> None:
        """Refuse invalid data once, and read nothing more."""
        if not self._is_refused:
            self.transport.write(_BAD_REQUEST)
            self.factory.refused_unread()
            self.read_no_more()

    def read_no_more(self) -> None:
        """Close it after the last answer, and ignore all further data."""
        self._is_refused = True
        self.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.leave()
        super().connectionLost(reason)

    def leave(self) -> None:
        """Stop counting it as an HTTP connection."""
        left, self.left = self.left, None
        if left is not None:
            left()


SPARE = 100
"""Connections besides those of clients: for other requests, and for refusals."""


@attrs.define(eq=False)
class HttpConnections:
    """
    Counts HTTP connections. Connections that became a WebSocket are counted as clients.

    There may be `SPARE` more than clients.

    :param max_connections: clients in all.
    :param max_per_address: from one IP address (of IPv6: network); this machine is exempt.
    """

    max_connections: int
    max_per_address: int
    count: int = 0
    _by_address: Counter[str] = attrs.field(factory=Counter)

    def enter(self, channel: Channel, address: str | None) -> bool:
        """
        Count ``channel`` in, until it leaves.

        :param address: its address; ``None`` for no limit.
        :return: whether the limits allow it.
        """
        customer = customer_of(address)
        if self.count >= self.max_connections + SPARE:
            return False
        if customer is not None and self._by_address[customer] >= self.max_per_address + SPARE:
            return False
        self.count += 1
        if customer is not None:
            self._by_address[customer] += 1
        channel.left = lambda: self._left(customer)
        return True

    def _left(self, customer: str | None) -> None:
        self.count -= 1
        if customer is not None:
            self._by_address[customer] -= 1
            if not self._by_address[customer]:
                del self._by_address[customer]
