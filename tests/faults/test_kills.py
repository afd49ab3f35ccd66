"""Nodes and their database are killed, stopped where they are, and lose their power. (NOD121)"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.cluster import Cluster
from tests.faults.trial import trial


@contextmanager
def without_power(nodes: Cluster, at: int) -> Iterator[None]:
    """Meanwhile a node isn't there, and nobody was told."""
    node = nodes.nodes[at]
    with nodes.network.isolated(node.host):
        node.kill()
        yield
    node.start()


@contextmanager
def failing_over(nodes: Cluster) -> Iterator[None]:
    """
    The database is cut off from its standby, then loses its power, and in the end the standby
    takes over.
    """
    databases = nodes.databases
    with parted(nodes):
        yield
    with nodes.network.isolated(databases.primary.host):
        databases.primary.kill()
        databases.promote()


@contextmanager
def parted(nodes: Cluster) -> Iterator[None]:
    """The database and its standby are cut off from each other."""
    primary, standby = nodes.databases.primary.host, nodes.databases.standby.host
    with nodes.network.cut(primary.addresses, standby.addresses):
        yield


def test_nod121_nodes_die_and_come_back(nodes: Cluster, tmp_path: Path, seconds: float) -> None:
    with trial(nodes, tmp_path) as running:
        running.have("node, killed", nodes.nodes[1].killed(), seconds)
        running.have("node, without power", without_power(nodes, 1), seconds)
        running.have("node, paused", nodes.nodes[1].paused(), seconds)
        running.have("node, stopped in order", nodes.nodes[1].stopped(), seconds)
        running.check()


def test_nod121_the_database_dies_and_comes_back(
    nodes: Cluster, tmp_path: Path, seconds: float
) -> None:
    with trial(nodes, tmp_path) as running:
        running.have("database, killed", nodes.databases.primary.killed(), seconds)
        running.have("database, frozen", nodes.databases.primary.frozen(), seconds)
        running.have("database, without its standby", parted(nodes), seconds)
        running.have("database, fails over", failing_over(nodes), seconds)
        running.check()
        nodes.databases.renew()
