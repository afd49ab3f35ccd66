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
from tests.support.valkey import ValkeyServer
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

    def remove(self) -> None:
        """Remove what it has. It has ended."""
        shutil.rmtree(self.data)

    def end(self) -> None:
        """End it at once, if it runs."""
        if self.runs:
            self.thaw()
            self.kill()

    @contextmanager
    def killed(self) -> Iterator[None]:
        """Kill it, and start it afterwards."""
        self.kill()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop its processes where they are, meanwhile."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        with self.host.namespace.entered():
            return super().execute(sql, database)


class Broker(ValkeyServer):
    """A Valkey on a host, for everybody on the network."""

    def __init__(self, host: Host, directory: Path) -> None:
        super().__init__(directory, "valkey", "--bind", "0.0.0.0", "--protected-mode", "no")
        self.host = host

    def start(self) -> None:
        with self.host.namespace.entered():
            super().start()

    def url(self, number: int | str = "", who: str = "") -> str:
        return f"redis://{who}{self.host.address}:{self.port}/{number}"

    @contextmanager
    def killed(self) -> Iterator[None]:
        """Kill it, and start it afterwards."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop it where it is, meanwhile."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()


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
    def killed(self) -> Iterator[None]:
        """Kill the process, and start another afterwards."""
        self.kill()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop it in good order, and start it afterwards."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the process where it is, meanwhile."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)


class Databases:
    """
    A PostgreSQL and its standby, which has whatever is confirmed, each on a host of its own.

    :ivar primary: the one that takes writes, or should.
    :ivar standby: the other one.
    """

    def __init__(self, stack: ExitStack, primary: Host, standby: Host) -> None:
        """:param stack: removes them in the end."""
        self._stack = stack
        self._dark = stack.enter_context(ExitStack())
        self.primary = self._make(primary)
        self.primary.create()
        self.standby = self._make(standby)
        self._hosts = (self.primary, self.standby)
        self._follow()

    def url(self, at: int = 0) -> str:
        """
        The address of both, the same whichever takes writes.

        :param at: by which of their hosts' addresses.
        """
        places = ",".join(f"{one.host.addresses[at]}:{one.port}" for one in self._hosts)
        return f"postgresql://helix@{places}/postgres"

    def addresses(self, at: int) -> list[str]:
        """An address of both hosts."""
        return [one.host.addresses[at] for one in self._hosts]

    def lose_power(self, network: Network) -> None:
        """Let the primary be gone, and nobody told, until `renew`."""
        self._dark.enter_context(network.isolated(self.primary.host))
        self.primary.kill()

    def promote(self) -> None:
        """Let the standby take over from what is dead; it then stands alone, until `renew`."""
        self.primary, self.standby = self.standby, self.primary
        self._wait_for_standby(False)
        self.primary.promote()

    def renew(self) -> None:
        """Where there is none, make what was the primary once the standby of the other one."""
        if not self.standby.runs:
            self._dark.close()
            self.standby.remove()
            self._follow()

    def _follow(self) -> None:
        self.standby.follow(self.primary)
        self._wait_for_standby(True)

    def _wait_for_standby(self, on: bool) -> None:
        """Let commits wait for the standby, or not."""
        names = "*" if on else ""
        self.primary.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        self.primary.execute("SELECT pg_reload_conf()")
        eventually(
            lambda: self.primary.execute("SHOW synchronous_standby_names") == [(names,)],
            "commits wait for whom they should",
        )

    def _make(self, host: Host) -> Database:
        # The path of a unix socket has at most 107 bytes.
        directory = tempfile.mkdtemp(prefix="helix-pg-")
        self._stack.callback(shutil.rmtree, directory)
        made = Database(host, Path(directory))
        self._stack.callback(made.end)
        return made


@attrs.frozen
class Cluster:
    """
    Nodes on one database, and where their clients are.

    :ivar clients: the host of all clients.
    :ivar broker: what carries the nodes' messages, unless the database does.
    """

    network: Network
    clients: Host
    databases: Databases
    nodes: Sequence[Node]
    broker: Broker | None

    @property
    def broker_addresses(self) -> Sequence[str]:
        """Where nodes reach what carries their messages."""
        return self.broker.host.addresses if self.broker else self.databases.addresses(1)

    def wait_until_up(self) -> None:
        """Wait until each node hears the others."""
        for node in self.nodes:
            with node.host.namespace.entered():
                eventually(node.hears_others, f"{node.address} hears others")


def _make_broker(stack: ExitStack, host: Host) -> Broker:
    directory = tempfile.mkdtemp(prefix="helix-valkey-")
    stack.callback(shutil.rmtree, directory)
    broker = Broker(host, Path(directory))
    stack.callback(broker.stop)
    broker.start()
    return broker


@contextmanager
def cluster(
    network: Network, directory: Path, has_broker: bool = False, nodes: int = 2
) -> Iterator[Cluster]:
    """
    Nodes on one database.

    :param has_broker: whether Valkey carries their messages; else the database does, at other
        addresses of its hosts.
    :raises CannotBe: where there can't be such a network.
    """
    with ExitStack() as stack:
        clients, primary, standby = (network.add_host(addresses=2) for _ in range(3))
        databases = Databases(stack, primary, standby)
        broker = _make_broker(stack, network.add_host()) if has_broker else None
        url = broker.url() if broker else databases.url(at=1)
        made = []
        for number in range(nodes):
            own = directory / f"node{number}"
            own.mkdir()
            options = ("--store", databases.url(), "--broker", url, "--auth", "anyone")
            node = Node(network.add_host(), own, *options)
            stack.callback(node.kill)
            node.start()
            made.append(node)
        together = Cluster(network, clients, databases, made, broker)
        together.wait_until_up()
        yield together
