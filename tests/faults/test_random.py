"""Whatever happens to a cluster, in whichever order, and two at once. (NOD120, NOD121)"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest

from tests.faults.cluster import Cluster
from tests.faults.faults import Fault, faults_of_broker, faults_of_database, faults_of_node
from tests.faults.trial import trial

pytestmark = pytest.mark.timeout(900)

SEEDS = int(os.environ.get("HELIX_FAULTS_SEEDS", "1"))
"""How many runs; ``tox -e faults`` makes many."""

FIRST = int(os.environ.get("HELIX_FAULTS_FIRST", "0"))
"""The seed of the first."""

FAULTS = int(os.environ.get("HELIX_FAULTS_OF_RUN", "2"))
"""How many faults, or pairs of them, a run has."""


def draw(random: Random, cluster: Cluster) -> Mapping[str, Fault]:
    """Draw one fault or two, of which each befalls something else."""
    victims = [faults_of_database(cluster)]
    if cluster.broker is not None:
        victims.append(faults_of_broker(cluster.broker))
    for number in range(len(cluster.nodes)):
        faults = faults_of_node(cluster, number)
        victims.append({f"{name} (node {number})": fault for name, fault in faults.items()})
    found: dict[str, Fault] = {}
    for faults in random.sample(victims, random.choice([1, 1, 2])):
        name = random.choice(list(faults))
        found[name] = faults[name]
    return found


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_nod120_nod121_whatever_happens(
    nodes: Cluster, tmp_path: Path, driver_directory: Path, seconds: float, seed: int
) -> None:
    print(f"again: HELIX_FAULTS_FIRST={seed} HELIX_FAULTS_SEEDS=1 tox -e faults")
    random = Random(seed)
    with trial(nodes, tmp_path, driver_directory, seed) as running:
        for _ in range(FAULTS):
            running.have(draw(random, nodes), random.uniform(0.2, 2) * seconds)
        running.check()
