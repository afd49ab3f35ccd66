"""Valkey, which carries the nodes' messages, is cut off, killed and stopped. (NOD120, NOD121)"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.cluster import Cluster
from tests.faults.faults import faults_of_broker, faults_of_node
from tests.faults.trial import trial

pytestmark = pytest.mark.timeout(600)


def test_nod120_nod121_the_broker_is_gone_and_comes_back(
    nodes_with_broker: Cluster, tmp_path: Path, driver_directory: Path, seconds: float
) -> None:
    nodes = nodes_with_broker
    assert nodes.broker is not None
    cuts = {
        name: cut for name, cut in faults_of_node(nodes, 1).items() if "cut off from broker" in name
    }
    with trial(nodes, tmp_path, driver_directory) as running:
        for name, fault in {**cuts, **faults_of_broker(nodes.broker)}.items():
            running.have({name: fault}, seconds)
        running.check()
