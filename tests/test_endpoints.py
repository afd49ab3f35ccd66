"""What descriptions of endpoints say, and what is added to them."""

from __future__ import annotations

import pytest
from twisted.internet.endpoints import serverFromString
from twisted.internet.testing import MemoryReactorClock

from helix.endpoints import Endpoint, complete

LOCAL = [
    "tcp:4000:interface=127.0.0.1",
    "tcp:port=4000:interface=127.8.9.1",
    "tcp:4000:127.0.0.1",
    "tcp:4000:localhost",
    r"tcp:4000:interface=\:\:1",
    r"tcp:interface=\:\:1:port=4000",
    r"tcp6:4000:interface=\:\:1",
    "ssl:443:interface=127.0.0.1:privateKey=k:certKey=c",
    "unix:helix.sock",
    "unix:address=helix.sock",
]
BEYOND = [
    "4000",
    "tcp:4000",
    "tcp:4000:interface=0.0.0.0",
    "tcp:4000:interface=192.168.1.5",
    r"tcp:4000:interface=\:\:",
    "tcp:4000:interface=helix.test",
    "tcp6:4000",
    "ssl:443:privateKey=k:certKey=c",
    "systemd:domain=INET:index=0",
    "tls:443:interface=127.0.0.1",
]


@pytest.mark.parametrize("description", LOCAL)
def test_sec7_endpoint_that_only_this_machine_reaches(description: str) -> None:
    assert Endpoint.parse(description).is_local


@pytest.mark.parametrize("description", BEYOND)
def test_sec7_endpoint_that_others_may_reach(description: str) -> None:
    assert not Endpoint.parse(description).is_local


@pytest.mark.parametrize(
    ("description", "path"),
    [
        ("unix:helix.sock", "helix.sock"),
        (r"unix:/run/a\:b.sock:mode=600", "/run/a:b.sock"),
        ("unix:address=/run/x.sock", "/run/x.sock"),
        ("tcp:4000", None),
    ],
)
def test_sec8_path_of_an_endpoint(description: str, path: str | None) -> None:
    assert Endpoint.parse(description).path == path


@pytest.mark.parametrize(
    ("description", "mode", "backlog"),
    [
        ("unix:helix.sock", 0o660, 9),
        ("unix:helix.sock:mode=600", 0o600, 9),
        ("unix:helix.sock:mode=666:backlog=3", 0o666, 3),
        ("unix:helix.sock:600", 0o600, 9),
        ("unix:helix.sock:600:4", 0o600, 4),
        ("unix:address=helix.sock:lockfile=1", 0o660, 9),
    ],
)
def test_sec8_ops12_what_is_not_said_of_a_unix_socket(
    description: str, mode: int, backlog: int
) -> None:
    endpoint = serverFromString(MemoryReactorClock(), complete(description, 9))
    assert (endpoint._mode, endpoint._backlog) == (mode, backlog)
    assert endpoint._wantPID is ("lockfile=1" in description)


@pytest.mark.parametrize(
    ("description", "backlog"),
    [("4000", 9), ("tcp:4000", 9), ("tcp:4000:127.0.0.1", 9), ("tcp:4000:127.0.0.1:5", 5),
     ("tcp:4000:backlog=5", 5)],
)  # fmt: skip
def test_ops12_how_many_connects_may_wait(description: str, backlog: int) -> None:
    endpoint = serverFromString(MemoryReactorClock(), complete(description, 9))
    assert endpoint._backlog == backlog
