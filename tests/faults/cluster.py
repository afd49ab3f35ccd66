"""Nodes and the database, on hosts of their own."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import attrs

from tests.faults.network import RANGE, Host, Network
from tests.support.daemon import Daemon
from tests.support.postgres import PostgresServer
from tests.support.watched import eventually, metric


class Database(PostgresServer):
    """A PostgreSQL on a host, for everybody on the network."""

    def __init__(self, host: Host, directory: Path) -> None:
        super().__init__(directory, host.addresses, RANGE)
        self.host = host

    def start(self) -> None:
        with self.host.namespace.entered():
            super().start()

    def follow(self, primary: PostgresServer) -> None:
        with self.host.namespace.entered():
            super().follow(primary)

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        with self.host.namespace.entered():
            return super().execute(sql, database)


class Node(Daemon):
    """A daemon on a host."""

    def __init__(self, host: Host, directory: Path, *options: str) -> None:
        super().__init__(directory, *options, interface=host.address)
        self.host = host

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def start(self) -> None:
        with self.host.namespace.entered():
            super().start()

    def hears_others(self) -> bool:
        """Whether it says so; to be asked on its own host."""
        return metric(self, "helix_broker_up") == 1

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the process where it is, meanwhile."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)


@attrs.frozen
class Cluster:
    """
    Nodes on one database, and where their clients are.

    :ivar broker: the addresses at which nodes reach what carries their messages.
    """

    network: Network
    clients: Host
    database: Database
    nodes: Sequence[Node]
    broker: Sequence[str]

    def wait_until_up(self) -> None:
        """Wait until each node hears the others."""
        for node in self.nodes:
            with node.host.namespace.entered():
                eventually(node.hears_others, f"{node.address} hears others")


def make_database(stack: ExitStack, host: Host, primary: PostgresServer | None = None) -> Database:
    """A server, until the stack is closed."""
    # The path of a unix socket has at most 107 bytes.
    directory = tempfile.mkdtemp(prefix="helix-pg-")
    stack.callback(shutil.rmtree, directory)
    database = Database(host, Path(directory))
    stack.callback(database.stop)
    if primary is None:
        database.create()
    else:
        database.follow(primary)
    return database


@contextmanager
def cluster(network: Network, directory: Path, nodes: int = 2) -> Iterator[Cluster]:
    """
    Nodes on one PostgreSQL, which carries their messages at an address of its own.

    :raises CannotBe: where there can't be such a network.
    """
    with ExitStack() as stack:
        clients = network.add_host()
        host = network.add_host(addresses=2)
        database = make_database(stack, host)
        broker = f"postgresql://helix@{host.addresses[1]}:{database.port}/postgres"
        made = []
        for number in range(nodes):
            own = directory / f"node{number}"
            own.mkdir()
            options = ("--store", database.url(), "--broker", broker, "--auth", "anyone")
            node = Node(network.add_host(), own, *options)
            stack.callback(node.kill)
            node.start()
            made.append(node)
        together = Cluster(network, clients, database, made, host.addresses[1:])
        together.wait_until_up()
        yield together
