"""One daemon for all conformance tests, and a bystander who must notice nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.daemon import Daemon
from tests.support.rawsocket import RawWebSocket
from tests.support.watched import no_faults, running_daemon

MAX_FRAME_BYTES = 256 * 1024


@pytest.fixture(scope="session")
def conformance_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that takes frames of up to `MAX_FRAME_BYTES`."""
    options = ("--max-frame-bytes", str(MAX_FRAME_BYTES))
    with running_daemon(tmp_path_factory.mktemp("conformance"), *options) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def bystander(conformance_daemon: Daemon) -> Iterator[RawWebSocket]:
    """A connection that is open all the time."""
    with RawWebSocket(conformance_daemon.port) as websocket:
        yield websocket


@pytest.fixture
def connect(
    conformance_daemon: Daemon, bystander: RawWebSocket
) -> Iterator[Callable[..., RawWebSocket]]:
    """
    A function that opens a WebSocket.

    Whatever the test does with it, the bystander's connection lives on and the log tells of no
    fault.
    """
    opened: list[RawWebSocket] = []

    def open_one(*arguments: object, **options: object) -> RawWebSocket:
        websocket = RawWebSocket(conformance_daemon.port, *arguments, **options)  # type: ignore[arg-type]
        opened.append(websocket)
        return websocket

    with no_faults(conformance_daemon):
        yield open_one
        for websocket in opened:
            websocket.close()
        bystander.assert_alive()


@pytest.fixture
def websocket(connect: Callable[..., RawWebSocket]) -> RawWebSocket:
    """An open WebSocket."""
    return connect()


@pytest.fixture
def conformance_daemon_port(conformance_daemon: Daemon) -> int:
    """For connections that don't begin as a WebSocket."""
    return conformance_daemon.port
