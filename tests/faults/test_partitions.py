"""Lines between nodes, their database, their broker and their clients are cut. (NOD120)"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.cluster import Cluster
from tests.faults.faults import faults_of_node
from tests.faults.trial import trial

pytestmark = pytest.mark.timeout(600)


def test_nod120_a_node_is_cut_off_and_comes_back(
    nodes: Cluster, tmp_path: Path, driver_directory: Path, seconds: float
) -> None:
    with trial(nodes, tmp_path, driver_directory) as running:
        for name, fault in faults_of_node(nodes, 1).items():
            if "cut off" in name:
                running.have({name: fault}, seconds)
        running.check()
