"""Nodes and their database are killed, stopped where they are, and lose their power. (NOD121)"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.cluster import Cluster
from tests.faults.faults import faults_of_database, faults_of_node
from tests.faults.trial import trial

pytestmark = pytest.mark.timeout(600)


def test_nod121_nodes_die_and_come_back(
    nodes: Cluster, tmp_path: Path, driver_directory: Path, seconds: float
) -> None:
    with trial(nodes, tmp_path, driver_directory) as running:
        for name, fault in faults_of_node(nodes, 1).items():
            if "cut off" not in name:
                running.have({name: fault}, seconds)
        running.check()


def test_nod121_the_database_dies_and_comes_back(
    nodes: Cluster, tmp_path: Path, driver_directory: Path, seconds: float
) -> None:
    with trial(nodes, tmp_path, driver_directory) as running:
        for name, fault in faults_of_database(nodes).items():
            running.have({name: fault}, seconds)
        running.check()
