"""Sockets that others share, too. (docs/spec.md, NOD80)"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol

from helix.endpoints import complete
from helix.listening import ListenService
from helix.workers.sockets import Opened


class Counting(Factory[Protocol]):
    """Counts connections, and cuts them off."""

    noisy = False
    count = 0

    def buildProtocol(self, addr: IAddress | None) -> None:
        self.count += 1


@contextmanager
def shared(family: int, address: object) -> Iterator[tuple[socket.socket, ListenService, Counting]]:
    """A socket, and a worker that serves at it by a descriptor of its own."""
    with socket.socket(family) as opened:
        opened.bind(address)
        opened.listen(7)
        opened.setblocking(False)
        if family == socket.AF_UNIX:
            os.chmod(str(address), 0o600)
        description = "tcp:0" if family == socket.AF_INET else f"unix:{address}"
        factory = Counting()
        endpoint = Opened(reactor, complete(description, 7), os.dup(opened.fileno()))
        listener = ListenService(reactor, description, factory, endpoint)
        listener.privilegedStartService()
        yield opened, listener, factory


@ensureDeferred
async def test_nod80_a_worker_accepts_one_connection_in_a_turn() -> None:
    with (
        shared(socket.AF_INET, ("127.0.0.1", 0)) as (opened, listener, factory),
        ExitStack() as own,
    ):
        for _ in range(3):
            own.enter_context(socket.create_connection(opened.getsockname()))
        for turn in range(1, 4):
            listener.port.doRead()  # type: ignore[union-attr]  # what the reactor calls
            assert factory.count == turn
        await listener.stopService()


@ensureDeferred
async def test_nod80_a_worker_that_leaves_leaves_the_socket_to_others(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with shared(socket.AF_UNIX, str(path)) as (opened, listener, _):
        await listener.stopService()
        assert path.stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            accepted, _ = opened.accept()
            accepted.close()


def test_nod80_what_is_no_endpoint_is_refused() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        Opened(reactor, "nonsense:1", 0)
