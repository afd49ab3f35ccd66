"""What the tests with stock clients share: the npm packages, the client processes, one daemon."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.stock_clients.driving import driver_directory
from tests.stock_clients.phoenix import PhoenixProcess, Socket
from tests.support.daemon import Daemon, start_daemon

__all__ = ["driver_directory", "start_daemon"]

VERSIONS = ("phoenix17", "phoenix18")
TRANSPORTS = ("websocket", "longpoll")


@pytest.fixture
def start_phoenix(driver_directory: Path) -> Iterator[Callable[[str], PhoenixProcess]]:
    """A function that starts a process of the given version; all end with the test."""
    processes: list[PhoenixProcess] = []

    def start(version: str) -> PhoenixProcess:
        process = PhoenixProcess(driver_directory, version)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.end()


@pytest.fixture(params=VERSIONS)
def phoenix(
    request: pytest.FixtureRequest, start_phoenix: Callable[[str], PhoenixProcess]
) -> PhoenixProcess:
    """A process of each version in turn."""
    return start_phoenix(request.param)


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    """The name of each transport in turn."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def shared_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """The daemon of all the tests that don't stop it and need no options."""
    daemon = Daemon(tmp_path_factory.mktemp("daemon"))
    try:
        daemon.start()
        yield daemon
        daemon.stop()
    finally:
        daemon.kill()


@pytest.fixture
def daemon(shared_daemon: Daemon) -> Iterator[Daemon]:
    """The shared daemon; what it logs during the test is printed, for pytest to show on failure."""
    logged = len(shared_daemon.log)
    yield shared_daemon
    print(shared_daemon.log[logged:])


@pytest.fixture
def flow_id() -> str:
    """The id of a flow that no other test has."""
    return uuid4().hex


@pytest.fixture
def connect(phoenix: PhoenixProcess, transport: str, daemon: Daemon) -> Callable[..., Socket]:
    """A function that connects one more socket to the shared daemon."""

    def connect_one(**options: object) -> Socket:
        return phoenix.connect(daemon.websocket_url, transport, **options)

    return connect_one
