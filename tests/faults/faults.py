"""What can happen to a cluster, by names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from tests.faults.cluster import Broker, Cluster
from tests.faults.network import Way

Fault = Callable[[], AbstractContextManager[None]]


def faults_of_node(cluster: Cluster, at: int) -> Mapping[str, Fault]:
    """What can happen to one node, and to its lines."""
    node = cluster.nodes[at]
    broker = "PostgreSQL" if cluster.broker is None else "Valkey"
    ends = {
        "database": cluster.databases.addresses(0),
        f"broker ({broker})": cluster.broker_addresses,
        "clients": cluster.clients.addresses,
    }
    found: dict[str, Fault] = {
        f"node, cut off from {end}, {way.value}": partial(
            cluster.network.cut, node.host.addresses, addresses, way
        )
        for end, addresses in ends.items()
        for way in Way
    }
    return found | {
        "node, killed": node.killed,
        "node, without power": partial(_without_power, cluster, at),
        "node, paused": node.paused,
        "node, stopped in order": node.stopped,
    }


def faults_of_database(cluster: Cluster) -> Mapping[str, Fault]:
    """What can happen to the database; whichever of the two it is by then."""
    return {
        "database, killed": lambda: cluster.databases.primary.killed(),
        "database, frozen": lambda: cluster.databases.primary.frozen(),
        "database, parted from its standby": partial(_parted, cluster),
        "database, fails over": partial(_failing_over, cluster),
    }


def faults_of_broker(broker: Broker) -> Mapping[str, Fault]:
    """What can happen to what carries the nodes' messages."""
    return {
        "broker (Valkey), killed": broker.killed,
        "broker (Valkey), frozen": broker.frozen,
    }


@contextmanager
def _without_power(cluster: Cluster, at: int) -> Iterator[None]:
    """Meanwhile a node isn't there, and nobody was told."""
    node = cluster.nodes[at]
    with cluster.network.isolated(node.host):
        node.kill()
        yield
    node.start()


@contextmanager
def _parted(cluster: Cluster) -> Iterator[None]:
    """The database and its standby are cut off from each other."""
    primary, standby = cluster.databases.primary.host, cluster.databases.standby.host
    with cluster.network.cut(primary.addresses, standby.addresses):
        yield


@contextmanager
def _failing_over(cluster: Cluster) -> Iterator[None]:
    """
    The database is cut off from its standby, then loses its power, and in the end the standby
    takes over.
    """
    with _parted(cluster):
        yield
    cluster.databases.lose_power(cluster.network)
    cluster.databases.promote()
