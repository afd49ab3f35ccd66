"""What an attack needs: a daemon to attack, raw connections to it, and who else is there."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import multiprocessing
import os
import socket
import statistics
import struct
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import servers

HOST = "127.0.0.1"  # nothing else is ever attacked
PATIENCE = 20.0  # seconds for one answer
INNOCENT_INTERVAL = 0.02  # seconds between what the innocent asks
INNOCENT_PATIENCE = 180.0  # seconds
ATTACKER = "198.51.100.1"  # addresses that the proxy, which is trusted, tells of
INNOCENT = "203.0.113.1"
MEBIBYTE = 1024 * 1024
_BESIDE = multiprocessing.get_context("spawn")  # with nothing of this process
_MASK = b"\x37\xfa\x21\x3d"

Attack = Callable[["Target"], None]
ATTACKS: dict[str, Attack] = {}
"""By name, in the order in which they are made."""


def attack(function: Attack) -> Attack:
    """Add a function to those that can be run; its docstring says what it does."""
    ATTACKS[function.__name__.replace("_", "-")] = function
    return function


def frame(payload: bytes, opcode: int = 1, fin: bool = True) -> bytes:
    """One masked WebSocket frame; the mask is the same for all, which a server can't tell."""
    first, size = opcode | (0x80 if fin else 0), len(payload)
    if size < 126:
        header = struct.pack("!BB", first, 0x80 | size)
    elif size < 1 << 16:
        header = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        header = struct.pack("!BBQ", first, 0x80 | 127, size)
    pattern = (_MASK * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(pattern, "big")
    return header + _MASK + masked.to_bytes(size, "big")


class Socket:
    """A WebSocket that may say anything, and need not read."""

    def __init__(self, port: int, address: str = ATTACKER) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._data = b""
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: {HOST}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\nX-Forwarded-For: {address}\r\n\r\n".encode()
        )
        answer = self._read_to(b"\r\n\r\n")
        if b" 101 " not in answer.split(b"\r\n")[0]:
            raise ConnectionError(answer.split(b"\r\n")[0].decode("latin-1"))

    def send(self, *frames: bytes) -> None:
        self._socket.sendall(b"".join(frames))

    def push(self, topic: str, event: str, payload: object, ref: str = "1") -> None:
        text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        head = json.dumps([None, ref, topic, event]).encode()[:-1]
        self.send(frame(head + b"," + text + b"]"))

    def join(self, flow: str, payload: object) -> Any:
        """Join a flow and wait for the answer."""
        self.push(f"flow:{flow}", "phx_join", payload, "join")
        return self.wait("join")

    def wait(self, ref: str) -> Any:
        """Read up to the answer to a push."""
        while True:
            message = self.read()
            if message is not None and message[1] == ref:
                return message[4]

    def read(self) -> Any:
        """Read one frame: its JSON, or ``None`` for any but text."""
        first, second = self._take(2)
        size = second & 0x7F
        if size > 125:
            size = int.from_bytes(self._take(2 if size == 126 else 8), "big")
        payload = self._take(size)
        if first & 15 == 8:
            raise ConnectionError(f"closed with {int.from_bytes(payload[:2], 'big')}")
        return json.loads(payload) if first & 15 == 1 else None

    def drain(self) -> None:
        """Take what is there, unread."""
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(MEBIBYTE):
                pass
        self._socket.settimeout(PATIENCE)

    def close(self) -> None:
        self._socket.close()

    def _take(self, size: int) -> bytes:
        parts, missing = [self._data[:size]], size - len(self._data)
        self._data = self._data[size:]
        while missing > 0:
            data = self._socket.recv(max(65536, missing))
            if not data:
                raise ConnectionError("cut off")
            parts.append(data[:missing])
            self._data, missing = data[missing:], missing - len(data)
        return b"".join(parts)

    def _read_to(self, end: bytes) -> bytes:
        read = b""
        while not read.endswith(end):
            read += self._take(1)
        return read


@dataclass
class Target:
    """
    The daemon that is attacked.

    :ivar until: when an attack is to end, in the time of ``time.monotonic``.
    :ivar told: what an attack has to say about how it went.
    """

    port: int
    pid: int
    until: float = 0.0
    told: list[str] = field(default_factory=list)

    @property
    def goes_on(self) -> bool:
        """Whether an attack may go on."""
        return time.monotonic() < self.until

    def socket(self, address: str = ATTACKER) -> Socket:
        return Socket(self.port, address)

    def request(
        self, method: str, path: str, body: bytes | None = None, *, address: str = ATTACKER
    ) -> tuple[int, bytes]:
        """Make one request on a connection of its own: the status, and the body."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            headers = {"X-Forwarded-For": address}
            if body is not None:
                headers["Content-Type"] = "application/json"
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def make_flow(self, flow: str, document: object) -> None:
        """Make a flow as the daemon's owner, whom no limit of an address keeps from it."""
        body = json.dumps({"id": flow, "document": document}).encode()
        status, answer = self.request("POST", "/api/flows", body, address=HOST)
        if status != http.HTTPStatus.CREATED:
            raise servers.BenchError(f"a flow can't be made: {status} {answer[:200]!r}")

    @property
    def memory(self) -> float:
        """The daemon's memory, MiB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise servers.BenchError("the daemon is gone")

    @property
    def lag(self) -> float:
        """The largest lag of its reactor in the last one to two minutes, seconds."""
        _, metrics = self.request("GET", "/metrics", address=HOST)
        for line in metrics.decode().splitlines():
            if line.startswith("helix_reactor_lag_max_seconds "):
                return float(line.split()[1])
        raise servers.BenchError("the daemon doesn't tell its lag")


@dataclass(frozen=True)
class Row:
    """
    What an attack did.

    :ivar memory: MiB by which the daemon has grown, at most.
    :ivar lag: the longest that its reactor was late, seconds.
    :ivar median, p99, worst: seconds for the innocent's requests, from when each was due.
    :ivar told: what became of it.
    """

    name: str
    memory: float
    lag: float
    median: float
    p99: float
    worst: float
    told: str

    def __str__(self) -> str:
        times = (self.lag, self.median, self.p99, self.worst)
        cells = [self.name, f"{self.memory:.0f}", *(f"{1000 * one:.0f}" for one in times)]
        return f"| {' | '.join(cells)} | {self.told} |"


HEAD = (
    "| attack | memory, MiB | lag, ms | median, ms | p99, ms | worst, ms | |\n"
    "| --- | --: | --: | --: | --: | --: | --- |"
)


def run(name: str, checkout: Path, seconds: float, options: list[str]) -> Row:
    """
    Run one attack on a daemon of its own, beside an innocent client.

    :param checkout: whose ``helix`` is run, by this Python.
    :param seconds: for which it goes on.
    :param options: of the daemon, besides where it listens and what it stores.
    """

    def command(port: int, _connections: int) -> list[str]:
        return [
            *("env", f"PYTHONPATH={checkout}", "HELIX_AUTH=anyone", sys.executable, "-c"),
            "from twisted.scripts.twistd import run; run()",
            *("-n", "--pidfile=", "helix", "--listen", f"tcp:{port}:interface={HOST}"),
            *("--store", "sqlite:flows.db", "--trusted-proxy", HOST),
        ]

    server = servers.Server("helix", command, health_path="/healthz")
    cores = os.sched_getaffinity(0)
    with (
        servers.working_directory() as directory,
        servers.running(server, 0, cores, directory, options) as where,
    ):
        return _attack(name, Target(int(where[1]), int(where[3])), seconds)


def _attack(name: str, target: Target, seconds: float) -> Row:
    target.request("GET", "/healthz")
    before = target.memory
    with _innocent(target.port) as finish, _watching(target) as peak:
        target.until = time.monotonic() + seconds
        try:
            ATTACKS[name](target)
        except OSError as error:
            target.told.append(f"{type(error).__name__}: {error}")
        while target.goes_on:
            time.sleep(0.1)
        times = sorted(finish())
        memory = max(peak(), target.memory) - before
    p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
    told = "; ".join(target.told)
    return Row(name, memory, target.lag, statistics.median(times), p99, times[-1], told)


@contextlib.contextmanager
def _innocent(port: int) -> Iterator[Callable[[], list[float]]]:
    """A client in a process of its own; what it is asked for ends it, and gives its times."""
    ours, its = _BESIDE.Pipe()
    process = _BESIDE.Process(target=_be_innocent, args=(port, its), daemon=True)
    process.start()

    def receive() -> list[float]:
        if not ours.poll(INNOCENT_PATIENCE):
            raise servers.BenchError("the innocent got no answer")
        times: list[float] = ours.recv()
        return times

    def finish() -> list[float]:
        ours.send(None)
        return receive()

    try:
        receive()
        yield finish
    finally:
        process.terminate()
        process.join()


def _be_innocent(port: int, pipe: Connection) -> None:
    """Ask for ``/healthz`` at a steady rate; an answer that is late makes the next ones late."""
    headers = {"X-Forwarded-For": INNOCENT}
    times: list[float] = []
    connection = http.client.HTTPConnection(HOST, port, timeout=INNOCENT_PATIENCE)
    due = time.monotonic()
    while not pipe.poll(max(0.0, due - time.monotonic())):
        connection.request("GET", "/healthz", headers=headers)
        connection.getresponse().read()
        times.append(time.monotonic() - due)
        due += INNOCENT_INTERVAL
        if len(times) == 1:
            pipe.send(times)
    pipe.send(times)


@contextlib.contextmanager
def _watching(target: Target) -> Iterator[Callable[[], float]]:
    """Look at the daemon's memory all the time, from a process of its own; tells the peak."""
    peak = _BESIDE.Value("d", 0.0)
    process = _BESIDE.Process(target=_watch, args=(target, peak), daemon=True)
    process.start()
    try:
        yield lambda: float(peak.value)
    finally:
        process.terminate()
        process.join()


def _watch(target: Target, peak: Any) -> None:
    with contextlib.suppress(OSError, servers.BenchError):
        while True:
            peak.value = max(peak.value, target.memory)
            time.sleep(0.05)
