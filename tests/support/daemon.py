"""A real ``twistd helix`` in a process of its own, for the tests that need one."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import SystemRandom

import pytest

START_TIMEOUT = 60.0
STOP_TIMEOUT = 60.0

PORTS = range(20_000, 32_768)

_random = SystemRandom()  # test runs beside each other must not choose alike


def free_port() -> int:
    """
    Return a TCP port of the loopback interface on which nobody listens.

    The system gives none of these to those who ask for any, as all do who connect to somewhere: a
    daemon that is started again finds it free.
    """
    while True:
        port = _random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def twistd() -> list[str]:
    """The start of the daemon's command line."""
    program = shutil.which("twistd", path=str(Path(sys.executable).parent))
    assert program is not None, "twistd is not installed beside this Python"
    return [program, "--nodaemon", "--pidfile=", "helix"]


def run_twistd(
    tmp_path: Path, *options: str, before: Sequence[str] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """``twistd -n helix`` with options that should not let it start."""
    return subprocess.run(
        [*before, *twistd(), *options],
        cwd=tmp_path,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )


class Daemon:
    """
    ``twistd -n helix`` on a port that it keeps over restarts, with no setting but those given.

    :ivar port: the TCP port.
    :ivar address: host and port, as they stand in a URL.
    """

    def __init__(
        self,
        directory: Path,
        *options: str,
        before: Sequence[str] = (),
        interface: str = "127.0.0.1",
    ) -> None:
        """
        :param directory: where the daemon runs; its log and, unless an option says otherwise, its
            data are there.
        :param options: more options of ``twistd helix``.
        :param before: a command that runs the daemon, by replacing itself in the end.
        :param interface: the address on which it listens, beside that of the loopback interface.
        """
        self.port = free_port()
        self.address = f"{interface}:{self.port}"
        self._interfaces = dict.fromkeys((interface, "127.0.0.1"))
        self._directory = directory
        self._options = options
        self._before = before
        self._log_path = directory / "daemon.log"
        self._log_path.touch()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process of a daemon that runs."""
        assert self._process is not None
        return self._process.pid

    @property
    def websocket_url(self) -> str:
        """Where the WebSocket of Phoenix clients is, without the transport's name."""
        return f"ws://{self.address}/socket"

    @property
    def log(self) -> str:
        """What the daemon has logged, over all its starts."""
        return self._log_path.read_text(errors="replace")

    @property
    def process_id(self) -> int:
        """The process that runs now."""
        assert self._process is not None
        return self._process.pid

    def metric(self, name: str) -> float:
        """The value of a metric, whose labels, if any, are part of ``name``; 0 without it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30.0)
        try:
            connection.request("GET", "/metrics")
            lines = connection.getresponse().read().decode().splitlines()
        finally:
            connection.close()
        values = [line.rpartition(" ")[2] for line in lines if line.rpartition(" ")[0] == name]
        return float(values[0]) if values else 0.0

    def start(self) -> None:
        """
        Start the daemon and wait until it is healthy.

        :raises AssertionError: when it ends, or isn't healthy within `START_TIMEOUT`.
        """
        listen: list[str] = []
        for interface in self._interfaces:
            listen += ["--listen", f"tcp:{self.port}:interface={interface}"]
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._before, *twistd(), *listen, *self._options],
                cwd=self._directory,
                env={name: os.environ[name] for name in os.environ if name[:6] != "HELIX_"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self._is_healthy():
            assert self._process.poll() is None, f"the daemon ended:\n{self.log}"
            assert time.monotonic() < deadline, f"the daemon isn't healthy:\n{self.log}"
            self._wait_briefly()

    def stop(self) -> None:
        """
        End the daemon with SIGTERM and wait for it.

        :raises AssertionError: when it fails, or is still there after `STOP_TIMEOUT`; it is killed
            then.
        """
        status = self._end(signal.SIGTERM)
        assert status in (0, None), f"the daemon stopped with {status}:\n{self.log}"

    def kill(self) -> None:
        """End the daemon with SIGKILL and wait for it."""
        self._end(signal.SIGKILL)

    def wait(self, seconds: float) -> int:
        """Wait until it has ended by itself, and give its exit status."""
        process, self._process = self._process, None
        assert process is not None
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process = process
            raise AssertionError(f"the daemon goes on:\n{self.log}") from None

    def _end(self, signal_number: signal.Signals) -> int | None:
        """Return the exit status, ``None`` where no daemon ran."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.send_signal(signal_number)
        try:
            return process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the daemon didn't stop:\n{self.log}") from None

    def _is_healthy(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1.0)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _wait_briefly(self) -> None:
        assert self._process is not None
        try:
            self._process.wait(0.02)
        except subprocess.TimeoutExpired:
            return


@pytest.fixture
def start_daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """
    A function that starts a daemon with the given options.

    After the test every daemon is stopped, and its log printed, for pytest to show on failure.
    """
    daemons: list[Daemon] = []

    def start(*options: str, before: Sequence[str] = ()) -> Daemon:
        directory = tmp_path / f"daemon{len(daemons)}"
        directory.mkdir()
        daemon = Daemon(directory, *options, before=before)
        daemons.append(daemon)
        daemon.start()
        return daemon

    yield start
    try:
        for daemon in daemons:
            daemon.stop()
    finally:
        for daemon in daemons:
            daemon.kill()
            print(daemon.log)
