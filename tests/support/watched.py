"""Daemons whose log must tell of no fault, and what they say about themselves."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.support.daemon import Daemon

_FAULTS = (
    "Traceback (most recent call last)",
    "Unhandled Error",
    "critical",
    "[Failure instance",
    "MESSAGE LOST",
)


def faults_in(log: str) -> list[str]:
    """The lines of a log that tell of a fault."""
    return [line for line in log.splitlines() if any(fault in line for fault in _FAULTS)]


@contextmanager
def no_faults(daemon: Daemon) -> Iterator[None]:
    """See to it that what the daemon logs meanwhile tells of no fault."""
    before = len(daemon.log)
    try:
        yield
    finally:
        logged = daemon.log[before:]
        print(logged)  # for pytest to show on failure
    assert not faults_in(logged), "\n" + logged[-4000:]


@contextmanager
def running_daemon(directory: Path, *options: str) -> Iterator[Daemon]:
    """A daemon with ``options``; stopping it tells of no fault either."""
    daemon = Daemon(directory, *options)
    try:
        daemon.start()
        yield daemon
        before = len(daemon.log)
        daemon.stop()
        assert not faults_in(daemon.log[before:]), daemon.log[before:]
    finally:
        daemon.kill()


def get(daemon: Daemon, path: str) -> tuple[int, bytes]:
    """The status and body of a GET."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=30.0)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def rest(daemon: Daemon, method: str, path: str, body: object = None) -> Any:
    """Ask the daemon's REST, and give its answer; of a path below ``/api``."""
    request = Request(
        f"http://{daemon.address}/api{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urlopen(request, timeout=30.0) as answer:
        return json.load(answer)


def sessions(daemon: Daemon) -> list[dict[str, object]]:
    """What ``/api/sessions`` lists, up to 1,000."""
    status, body = get(daemon, "/api/sessions?limit=1000")
    assert status == 200
    listed: list[dict[str, object]] = json.loads(body)["sessions"]
    return listed


def metric(daemon: Daemon, name: str) -> float:
    """The value of a metric, of all its labels together."""
    status, body = get(daemon, "/metrics")
    assert status == 200
    values = [
        float(line.rpartition(" ")[2])
        for line in body.decode().splitlines()
        if line.startswith((f"{name} ", f"{name}{{"))
    ]
    assert values, f"there is no metric {name}"
    return sum(values)


def eventually(condition: Callable[[], bool], what: str, timeout: float = 30.0) -> None:
    """Poll until ``condition`` holds; fail after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.02)
