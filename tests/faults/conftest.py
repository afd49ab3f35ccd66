"""What all tests of faults share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.faults.cluster import Cluster, cluster
from tests.faults.network import CannotBe, network
from tests.stock_clients.driving import driver_directory

__all__ = ["driver_directory"]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes on hosts of their own, on a database that has a standby."""
    try:
        with network() as made, cluster(made, tmp_path_factory.mktemp("nodes")) as running:
            yield running
    except CannotBe as error:
        pytest.skip(str(error))


@pytest.fixture
def seconds() -> float:
    """How long each fault lasts; ``tox -e faults`` has longer ones."""
    return float(os.environ.get("HELIX_FAULTS_SECONDS", "1"))
