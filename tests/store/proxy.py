"""A proxy in front of a server, which can lose what passes at an exact moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IListeningPort
from twisted.protocols.portforward import ProxyClient, ProxyClientFactory, ProxyFactory, ProxyServer


class _ToClient(ProxyClient):
    def dataReceived(self, data: bytes) -> None:
        proxy: Proxy = self.peer.factory
        if proxy.loses_answers:
            proxy.lose()
        else:
            super().dataReceived(data)


class _ToClientFactory(ProxyClientFactory):
    protocol = _ToClient
    noisy = False


class _ToServer(ProxyServer):
    clientProtocolFactory = _ToClientFactory

    def connectionMade(self) -> None:
        self.factory.clients.add(self)
        super().connectionMade()

    def connectionLost(self, reason: Any) -> None:
        self.factory.clients.discard(self)
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:
        proxy: Proxy = self.factory
        if proxy.loses_requests:
            proxy.lose()
            return
        if proxy.loses_answer_to and proxy.loses_answer_to in data:
            proxy.loses_answer_to = b""
            proxy.loses_answers = True
        super().dataReceived(data)


class Proxy(ProxyFactory):
    """
    Forwards a port of its own to a server.

    :ivar own_port: the TCP port on 127.0.0.1 to connect to.
    :ivar loses_requests: whether the next thing that a client sends is lost, with all connections.
    :ivar loses_answers: whether the next thing that the server sends is.
    :ivar loses_answer_to: a part of a request, the answer to which will be lost.
    :ivar lost: is called when that has happened.
    """

    protocol = _ToServer
    noisy = False

    def __init__(self, reactor: Any, port: int, lost: Callable[[], None] = lambda: None) -> None:
        super().__init__("127.0.0.1", port)
        self.reactor = reactor
        self.clients: set[_ToServer] = set()
        self.loses_requests = False
        self.loses_answers = False
        self.loses_answer_to = b""
        self.lost = lost
        self._listening: IListeningPort = reactor.listenTCP(0, self, interface="127.0.0.1")

    @property
    def own_port(self) -> int:
        number: int = self._listening.getHost().port
        return number

    def lose(self) -> None:
        """Cut all connections."""
        self.loses_requests = self.loses_answers = False
        for client in list(self.clients):
            client.transport.abortConnection()
        self.lost()

    def stop(self) -> Any:
        """Cut all connections and take no more, and tell nobody of it: no test would await that."""
        self.lost = lambda: None
        self.lose()
        return self._listening.stopListening()
