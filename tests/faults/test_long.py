"""What lasts longer than anybody waits. (NOD120, NOD121)"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.cluster import Cluster
from tests.faults.faults import faults_of_node
from tests.faults.trial import trial

SECONDS = float(os.environ.get("HELIX_FAULTS_LONG", "0"))

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not SECONDS, reason="it takes long: tox -e faults, or HELIX_FAULTS_LONG=75"),
]

NAMES = [
    "node, paused",
    "node, cut off from clients, both ways",
    "node, cut off from database, both ways",
]


@pytest.mark.parametrize("name", NAMES)
def test_nod120_nod121_a_fault_outlasts_all_timeouts(
    nodes: Cluster, tmp_path: Path, driver_directory: Path, name: str
) -> None:
    with trial(nodes, tmp_path, driver_directory) as running:
        running.have({f"{name} (long)": faults_of_node(nodes, 1)[name]}, SECONDS)
        running.check()
