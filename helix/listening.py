"""Listens at an endpoint, and holds what is taken there to its bounds."""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.python.failure import Failure

from helix.endpoints import Endpoint, complete
from helix.socket_lock import SocketInUse, SocketLock
from helix.telemetry.poller import MAX_ACCEPTS, bound_accepts, bound_unsent

BACKLOG = 4096
"""Connects that may wait to be accepted; the kernel has its own limit, often the same."""


SHARED_ACCEPTS = 1
"""Connections that a worker accepts in one turn: the next one is for whoever has time."""


class CannotListen(Exception):
    """An endpoint can't be listened at; the message names it and says why."""


class ListenService(Service):
    """
    One endpoint at which is listened.

    :param description: as `serverFromString` takes it.
    :param factory: makes the protocols of those who connect; the site.
    :param opened: what somebody else has opened by this description, whose lock is theirs; ``None``
        to open it here.
    :raises ValueError: when no endpoint can be made of it.

    :ivar description: as it was given.
    :ivar port: what listens, once it does.
    """

    def __init__(
        self,
        reactor: Any,
        description: str,
        factory: IProtocolFactory,
        opened: IStreamServerEndpoint | None = None,
    ) -> None:
        self.description = description
        self._is_shared = opened is not None
        self._endpoint = opened or serverFromString(reactor, complete(description, BACKLOG))
        endpoint = Endpoint.parse(description)
        # Who asks for Twisted's own lock, which has the same name, gets that.
        is_locked = opened is None and endpoint.named.get("lockfile") != "1"
        self._path = endpoint.path if is_locked else None
        self._lock: SocketLock | None = None
        self._factory = factory
        self.port: IListeningPort | None = None

    def privilegedStartService(self) -> None:
        """
        Listen while still privileged.

        :raises CannotListen: when that can't be.
        """
        failures: list[Failure] = []
        if self._path is not None:
            try:
                self._lock = SocketLock(self._path)
            except (SocketInUse, OSError) as error:
                raise CannotListen(f"{self.description!r}: {error}") from None
        self._endpoint.listen(self._factory).addCallbacks(self._listening, failures.append)
        if failures:
            raise CannotListen(f"{self.description!r}: {failures[0].getErrorMessage()}")

    def _listening(self, port: IListeningPort) -> None:
        bound_accepts(port, SHARED_ACCEPTS if self._is_shared else MAX_ACCEPTS)
        bound_unsent(port)
        self.port = port

    def stopService(self) -> Deferred[Any]:
        """Take no new connections."""
        super().stopService()
        port, self.port = self.port, None
        stopped = maybeDeferred(port.stopListening) if port is not None else succeed(None)
        return stopped.addBoth(self._release)

    def _release(self, result: Any) -> Any:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()
        return result
