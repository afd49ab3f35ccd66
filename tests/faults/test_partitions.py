"""Lines between nodes, their database, their broker and their clients are cut. (NOD120)"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.cluster import Cluster, cluster
from tests.faults.network import CannotBe, Way, network
from tests.faults.trial import trial

SECONDS = float(os.environ.get("HELIX_FAULTS_SECONDS", "2"))
"""How long each line is cut; ``tox -e faults`` cuts them for longer."""


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes on hosts of their own."""
    try:
        with network() as made, cluster(made, tmp_path_factory.mktemp("nodes")) as running:
            yield running
    except CannotBe as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("end", ["database", "broker", "clients"])
def test_nod120_a_node_is_cut_off_and_comes_back(nodes: Cluster, tmp_path: Path, end: str) -> None:
    ends = {
        "database": nodes.database.host.addresses[:1],
        "broker": nodes.broker,
        "clients": nodes.clients.addresses,
    }
    with trial(nodes, tmp_path) as running:
        for way in Way:
            cut = nodes.network.cut(nodes.nodes[1].host.addresses, ends[end], way)
            running.have(f"{end}, {way.value}", cut, SECONDS)
        running.check()
