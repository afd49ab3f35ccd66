"""
Poolers in front of a PostgreSQL server: the real PgBouncer where it is installed, and a small one
that runs everywhere and shares out connections as PgBouncer does.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import ClientFactory, Factory, Protocol

from tests.support.daemon import free_port
from tests.support.postgres import PostgresServer, as_somebody, wait_until

START_TIMEOUT = 10.0

TRACKED = {"user", "database", "application_name", "client_encoding", "datestyle", "timezone"}
"""What PgBouncer takes from a client that connects."""

_SSL_OR_GSS = (80877103, 80877104)
_CANCEL = 80877102


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def _refusal(words: str) -> bytes:
    return _message(b"E", f"SFATAL\0VFATAL\0C08P01\0M{words}\0\0".encode())


class _Messages(Protocol):
    """Takes what comes apart into messages: their kinds, and all of their bytes."""

    def __init__(self) -> None:
        self._come = b""
        self.is_started = True

    def dataReceived(self, data: bytes) -> None:
        self._come += data
        while len(self._come) >= 5:
            start = 1 if self.is_started else 0
            length = start + struct.unpack_from("!I", self._come, start)[0]
            if len(self._come) < length:
                return
            message, self._come = self._come[:length], self._come[length:]
            self.took(message[:1] if start else b"", message)

    def took(self, kind: bytes, message: bytes) -> None:
        raise NotImplementedError


class _Server(_Messages):
    """A connection to the server, which a client may have for a while."""

    def __init__(self, pooler: Pooler, start: dict[str, str]) -> None:
        super().__init__()
        self.pooler = pooler
        self.start = start
        self.client: _Client | None = None
        self.greeting: list[bytes] = []
        self.is_ready = self.is_idle = False

    def connectionMade(self) -> None:
        words = "".join(f"{name}\0{value}\0" for name, value in self.start.items()) + "\0"
        body = struct.pack("!I", 196608) + words.encode()
        self.transport.write(struct.pack("!I", len(body) + 4) + body)

    def connectionLost(self, reason: Any = None) -> None:
        self.pooler.forget(self)
        if self.client is not None:
            self.client.transport.loseConnection()

    def took(self, kind: bytes, message: bytes) -> None:
        if not self.is_ready:
            if kind in b"RSE":
                self.greeting.append(message)
            if kind in b"ZE":
                self.is_ready = True
                self.pooler.became_ready(self)
            return
        client = self.client
        if client is None:
            return  # a notification that nobody takes
        if kind == b"Z" and self.pooler.mode == "statement" and message[5:] != b"I":
            words = "transaction blocks not allowed in statement pooling mode"
            client.transport.write(_refusal(words))
            self.transport.loseConnection()
            return
        client.transport.write(message)
        self.is_idle = kind == b"Z" and message[5:] == b"I"
        if self.is_idle and self.pooler.mode != "session":
            client.server = self.client = None
            self.pooler.give(self)


class _Client(_Messages):
    """One who thinks that this is PostgreSQL."""

    def __init__(self, pooler: Pooler) -> None:
        super().__init__()
        self.is_started = False
        self.pooler = pooler
        self.server: _Server | None = None
        self.start: dict[str, str] = {}
        self.waiting: list[bytes] = []

    def connectionMade(self) -> None:
        self.pooler.clients.add(self)

    def connectionLost(self, reason: Any = None) -> None:
        self.pooler.clients.discard(self)
        self.pooler.queue = deque(one for one in self.pooler.queue if one is not self)
        server, self.server = self.server, None
        if server is not None:
            server.client = None
            if self.pooler.keeps and server.is_idle:
                self.pooler.give(server)
            else:
                server.transport.loseConnection()

    def took(self, kind: bytes, message: bytes) -> None:
        if not self.is_started:
            (code,) = struct.unpack_from("!I", message, 4)
            if code in _SSL_OR_GSS:
                self.transport.write(b"N")
            elif code == _CANCEL:
                self.transport.loseConnection()
            else:
                self._begin(message[8:])
        elif kind == b"X":
            self.transport.loseConnection()
        elif self.server is not None:
            self.server.is_idle = False
            self.server.transport.write(message)
        else:
            self.waiting.append(message)
            if len(self.waiting) == 1:
                self.pooler.want(self)

    def _begin(self, words: bytes) -> None:
        parts = words.decode().split("\0")
        self.start = dict(zip(parts[::2], parts[1::2], strict=False))
        self.start.pop("", None)
        strange = [name for name in self.start if name.lower() not in TRACKED]
        if strange:
            self.transport.write(_refusal(f"unsupported startup parameter: {strange[0]}"))
            self.transport.loseConnection()
            return
        self.is_started = True
        self.waiting.append(b"")  # it waits for a connection, to be greeted as that was
        self.pooler.want(self)

    def link(self, server: _Server) -> None:
        """Have a connection: for what waits, or to be greeted."""
        waiting, self.waiting = self.waiting, []
        if waiting[0]:
            self.server, server.client = server, self
            server.is_idle = False
            server.transport.write(b"".join(waiting))
            return
        self.transport.write(b"".join(server.greeting))
        self.transport.write(_message(b"K", b"\0\0\0\1pool"))  # a process of its own
        self.transport.write(_message(b"Z", b"I"))
        self.pooler.give(server)


class Pooler(Factory):
    """
    Shares out a few connections to a server, without a password.

    :param mode: ``session``, ``transaction`` or ``statement``, as PgBouncer's ``pool_mode``.
    :param keeps: whether the connection of a client that is gone goes to the next one as it is, as
        with an empty ``server_reset_query``.
    :param size: how many connections.

    :ivar own_port: the TCP port on 127.0.0.1 to connect to.
    """

    noisy = False

    def __init__(
        self, reactor: Any, port: int, mode: str, keeps: bool = False, size: int = 20
    ) -> None:
        self.mode = mode
        self.keeps = keeps
        self.clients: set[_Client] = set()
        self.queue: deque[_Client] = deque()
        self._reactor = reactor
        self._port = port
        self._size = size
        self._servers: set[_Server] = set()
        self._idle: list[_Server] = []
        self._listening: IListeningPort = reactor.listenTCP(0, self, interface="127.0.0.1")

    @property
    def own_port(self) -> int:
        number: int = self._listening.getHost().port
        return number

    def buildProtocol(self, addr: Any) -> _Client:
        return _Client(self)

    def want(self, client: _Client) -> None:
        """Link a client as soon as a connection is idle."""
        self.queue.append(client)
        if not self._idle and len(self._servers) < self._size:
            server = _Server(self, client.start)
            self._servers.add(server)
            factory = ClientFactory.forProtocol(lambda: server)
            factory.noisy = False
            self._reactor.connectTCP("127.0.0.1", self._port, factory)
        self._link()

    def became_ready(self, server: _Server) -> None:
        """Use a new connection, or tell why there is none."""
        error = server.greeting[-1]
        if error[:1] == b"E":
            self.forget(server)
            if self.queue:
                client = self.queue.popleft()
                client.transport.write(error)
                client.transport.loseConnection()
        else:
            self.give(server)

    def give(self, server: _Server) -> None:
        """Take a connection back: the newest is the next one's."""
        self._idle.append(server)
        self._link()

    def forget(self, server: _Server) -> None:
        """A connection is gone."""
        self._servers.discard(server)
        if server in self._idle:
            self._idle.remove(server)

    def _link(self) -> None:
        while self._idle and self.queue:
            self.queue.popleft().link(self._idle.pop())

    def stop(self) -> Any:
        """Cut all connections, and take no more."""
        for one in [*self.clients, *self._servers]:
            one.transport.abortConnection()
        return self._listening.stopListening()


def pgbouncer() -> str | None:
    """The path of PgBouncer, if it is installed."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


NO_PGBOUNCER = "PgBouncer is not installed (Debian: apt-get install pgbouncer)"

needs_pgbouncer = pytest.mark.skipif(pgbouncer() is None, reason=NO_PGBOUNCER)


@contextmanager
def running_pgbouncer(
    directory: Path, server: PostgresServer, mode: str, *settings: str
) -> Iterator[int]:
    """
    Run PgBouncer in front of a server.

    :param settings: more lines of its settings.
    :return: its port on 127.0.0.1.
    """
    program, port = pgbouncer(), free_port()
    assert program is not None
    lines = [
        "[databases]",
        f"* = host=127.0.0.1 port={server.port} user=helix",
        "[pgbouncer]",
        "listen_addr = 127.0.0.1",
        f"listen_port = {port}",
        "unix_socket_dir =",
        "auth_type = any",
        f"pool_mode = {mode}",
        *settings,
    ]
    ini, log = directory / "pgbouncer.ini", directory / "pgbouncer.log"
    ini.write_text("\n".join(lines) + "\n")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*as_somebody(), program, str(ini)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def is_up() -> bool:
        assert process.poll() is None, log.read_text(errors="replace")
        try:
            psycopg2.connect(f"postgresql://helix@127.0.0.1:{port}/postgres").close()
        except psycopg2.OperationalError:
            return False
        return True

    try:
        wait_until(is_up, START_TIMEOUT, "The start of PgBouncer")
        yield port
    finally:
        process.terminate()
        process.wait(START_TIMEOUT)
