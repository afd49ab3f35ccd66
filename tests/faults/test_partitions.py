"""Lines between nodes, their database, their broker and their clients are cut. (NOD120)"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.cluster import Cluster
from tests.faults.network import Way
from tests.faults.trial import trial


@pytest.mark.parametrize("end", ["database", "broker", "clients"])
def test_nod120_a_node_is_cut_off_and_comes_back(
    nodes: Cluster, tmp_path: Path, seconds: float, end: str
) -> None:
    ends = {
        "database": nodes.databases.addresses(0),
        "broker": nodes.databases.addresses(1),
        "clients": nodes.clients.addresses,
    }
    with trial(nodes, tmp_path) as running:
        for way in Way:
            cut = nodes.network.cut(nodes.nodes[1].host.addresses, ends[end], way)
            running.have(f"{end}, {way.value}", cut, seconds)
        running.check()
