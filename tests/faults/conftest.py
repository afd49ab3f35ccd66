"""What all tests of faults share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.cluster import Cluster, cluster
from tests.faults.network import CannotBe, network
from tests.stock_clients.driving import driver_directory

__all__ = ["driver_directory"]


def running(directory: Path, has_broker: bool) -> Iterator[Cluster]:
    """Two nodes on hosts of their own, on a database that has a standby."""
    try:
        with network() as made, cluster(made, directory, has_broker) as together:
            yield together
    except CannotBe as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Nodes whose messages the database carries; or Valkey, if ``HELIX_FAULTS_BROKER`` says so."""
    broker = os.environ.get("HELIX_FAULTS_BROKER", "postgresql")
    assert broker in ("postgresql", "valkey")
    yield from running(tmp_path_factory.mktemp("nodes"), broker == "valkey")


@pytest.fixture(scope="module")
def nodes_with_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Nodes whose messages Valkey carries."""
    yield from running(tmp_path_factory.mktemp("nodes"), True)


@pytest.fixture
def seconds() -> float:
    """How long each fault lasts; ``tox -e faults`` has longer ones."""
    return float(os.environ.get("HELIX_FAULTS_SECONDS", "1"))
