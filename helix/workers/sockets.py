"""Hands listening sockets from the parent, which opens them, to workers, which serve at them."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.defer import Deferred, execute
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from helix.endpoints import Endpoint
from helix.listening import CannotListen, ListenService


class Unserved(Factory):
    """The factory of a port at which the parent takes no connection."""

    noisy = False


def hold(listener: ListenService) -> int:
    """
    Take no connection at a port that is open, and give the descriptor of its socket.

    :raises CannotListen: when it is none of TCP or a unix socket.
    """
    port = listener.port
    if not isinstance(port, tcp.Port):  # also a unix socket's
        raise CannotListen(f"{listener.description!r}: workers can't share it: give --workers 1")
    port.stopReading()
    descriptor: int = port.fileno()
    return descriptor


class _UnixPort(unix.Port):
    """
    A unix socket that the parent has opened.

    Twisted would set its mode, its backlog, and remove it from the file system at the end.
    """

    _shouldShutdown = False  # the others go on

    factory: Any
    socket: Any
    fileno: Any
    _preexistingSocket: Any

    def startListening(self) -> None:
        self.factory.doStart()
        self.socket, self._preexistingSocket = self._preexistingSocket, None
        self.fileno = self.socket.fileno
        self.connected = True
        self.numberAccepts = 100
        self.startReading()

    def connectionLost(self, reason: Any) -> None:
        tcp.Port.connectionLost(self, reason)


@implementer(IStreamServerEndpoint)
class Opened:
    """
    An endpoint whose socket is open already.

    What a description wraps around the protocols, TLS or else, is made of it as in the parent.

    :param descriptor: of the socket; `listen` takes it.
    :raises ValueError: when no endpoint can be made of the description.
    """

    def __init__(self, reactor: Any, description: str, descriptor: int) -> None:
        self._reactor = reactor
        self._descriptor = descriptor
        # That of systemd is nothing but its socket, and it names the parent's process.
        is_plain = Endpoint.parse(description).kind == "systemd"
        self._inner = None if is_plain else serverFromString(_Opener(self), description)

    def listen(self, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        if self._inner is not None:
            listening: Deferred[IListeningPort] = self._inner.listen(factory)
            return listening
        return execute(self.adopt, factory)

    def adopt(self, factory: IProtocolFactory) -> IListeningPort:
        """Serve at the socket."""
        with socket.socket(fileno=self._descriptor) as opened:
            port: Any
            if opened.family == socket.AF_UNIX:
                port = _UnixPort._fromListeningDescriptor(self._reactor, opened.fileno(), factory)
                port.startListening()
            else:
                port = self._reactor.adoptStreamPort(opened.fileno(), opened.family, factory)
        adopted: IListeningPort = port
        return adopted


class _Opener:
    """A reactor whose ports all are the socket of one `Opened`."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opened._reactor, name)

    def listenTCP(self, _: object, factory: IProtocolFactory, *__: Any, **___: Any) -> Any:
        return self._opened.adopt(factory)

    listenUNIX = listenTCP

    def listenSSL(
        self, _: object, factory: IProtocolFactory, contextFactory: Any, *__: Any, **___: Any
    ) -> Any:
        return self._opened.adopt(TLSMemoryBIOFactory(contextFactory, False, factory))
