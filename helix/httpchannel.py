"""The HTTP connections: how many there may be, and how slow they may be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import attrs
from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from helix.addresses import customer_of

IDLE_TIMEOUT = 60
"""Seconds within which a request has to arrive, as long as it isn't large."""

PROGRESS_BYTES = 256 * 1024
"""For so many bytes, a request gets that time again."""


class Channel(HTTPChannel):
    """
    One HTTP connection.

    Twisted's own gives a client its time again at every byte, and so for ever.

    :ivar left: called once, when it is gone or has become a WebSocket.
    """

    left: Callable[[], None] | None = None
    _fresh = 0

    def dataReceived(self, data: bytes) -> None:
        self._fresh += len(data)
        if self._fresh >= PROGRESS_BYTES:
            self._fresh = 0
            self.resetTimeout()
        LineReceiver.dataReceived(self, data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.leave()
        super().connectionLost(reason)

    def leave(self) -> None:
        """Count it as an HTTP connection no more."""
        left, self.left = self.left, None
        if left is not None:
            left()


SPARE = 100
"""Connections beside those of clients: for other requests, and to tell who finds no room."""


@attrs.define(eq=False)
class HttpConnections:
    """
    Counts the HTTP connections; those that have become a WebSocket are clients, counted elsewhere.

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

        :param address: where it comes from; ``None`` where there is no limit.
        :return: whether there is room for it.
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
